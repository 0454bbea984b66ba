"""How boosted trees of LightGBM, XGBoost and CatBoost are packed."""
