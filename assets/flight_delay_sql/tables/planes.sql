SELECT tailnum, year, manufacturer, model, seats FROM planes
