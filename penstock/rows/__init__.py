"""Arrow rows: types, order, merging, and the binary COPY stream."""
