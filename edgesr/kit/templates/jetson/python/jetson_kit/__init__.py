"""An engine of TensorRT over pictures of any size. Needs NumPy and Pillow; the file `engine` alone TensorRT and PyCUDA.

Written for Python 3.10 and later, NumPy 1.21 and Pillow 9.0: what JetPack 6 brings.
"""
