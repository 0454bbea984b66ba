"""The model file: packed from scikit-learn, opened by mmap, walked by a C kernel or by numpy."""
