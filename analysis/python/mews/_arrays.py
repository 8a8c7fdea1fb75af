"""Arrays of any framework as the matrices that libmews reads in place.

NumPy arrays are taken by their pointer and strides. Everything else that has `__dlpack__` (torch, JAX, CuPy, TensorFlow)
is taken by DLPack, which also knows bfloat16, a type that NumPy has not. What lies on a GPU is copied to the host first.
"""
import ctypes

import numpy

from . import _library

_CPU_DEVICES = (1, 3)  # kDLCPU, kDLCUDAHost
_FLOAT, _BFLOAT = 2, 4  # kDLFloat, kDLBfloat
_NUMPY_TYPES = {'float32': _library.FLOAT32, 'float64': _library.FLOAT64, 'float16': _library.FLOAT16}


class _DLTensor(ctypes.Structure):
    _fields_ = [('data', ctypes.c_void_p), ('device_type', ctypes.c_int32), ('device_id', ctypes.c_int32),
                ('ndim', ctypes.c_int32), ('code', ctypes.c_uint8), ('bits', ctypes.c_uint8), ('lanes', ctypes.c_uint16),
                ('shape', ctypes.POINTER(ctypes.c_int64)), ('strides', ctypes.POINTER(ctypes.c_int64)),
                ('byte_offset', ctypes.c_uint64)]


def _host(value):
    """A tensor that NumPy and DLPack may look into: without a gradient, on the host."""
    if hasattr(value, 'detach'):  # torch
        value = value.detach()
        if getattr(value, 'is_cuda', False) or getattr(getattr(value, 'device', None), 'type', 'cpu') != 'cpu':
            value = value.cpu()
        if hasattr(value, 'resolve_conj'):
            value = value.resolve_conj().resolve_neg()
    elif hasattr(value, '__dlpack_device__') and value.__dlpack_device__()[0] not in _CPU_DEVICES:
        value = numpy.asarray(value)  # JAX, CuPy: their own way to the host
    return value


def _shape_error(name, shape):
    return ValueError(f'{name}: has the shape {tuple(shape)}; a matrix is wanted, a row a sample')


def _from_dlpack(value, name):
    capsule = value.__dlpack__()
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.argtypes, pointer.restype = [ctypes.py_object, ctypes.c_char_p], ctypes.c_void_p
    tensor = _DLTensor.from_address(pointer(capsule, b'dltensor'))
    shape = [tensor.shape[i] for i in range(tensor.ndim)]
    if tensor.code == _FLOAT and tensor.bits in (16, 32, 64):
        kind = {16: _library.FLOAT16, 32: _library.FLOAT32, 64: _library.FLOAT64}[tensor.bits]
    elif tensor.code == _BFLOAT and tensor.bits == 16:
        kind = _library.BFLOAT16
    else:
        return None  # integers and the rest: by NumPy
    if len(shape) != 2:
        raise _shape_error(name, shape)
    strides = [tensor.strides[i] for i in range(2)] if tensor.strides else [shape[1], 1]
    if strides == [0, 0] and shape[0] * shape[1] > 1:  # one number everywhere; mews.h reads 0, 0 as packed
        value = value.contiguous() if hasattr(value, 'contiguous') else numpy.array(value)
        return matrix(value, name)
    # A capsule that nobody consumed frees its tensor when it goes: it is kept as long as the matrix.
    return _library.Matrix(tensor.data + tensor.byte_offset, *shape, *strides, kind), (capsule, value)


def matrix(value, name):
    """(Matrix, owner): `owner` has to live as long as the matrix is read. ValueError for what is no matrix of numbers."""
    value = _host(value)
    if not isinstance(value, numpy.ndarray) and hasattr(value, '__dlpack__'):
        taken = _from_dlpack(value, name)
        if taken:
            return taken
    array = numpy.asarray(value)
    if array.dtype.name == 'bfloat16':  # ml_dtypes, which JAX's arrays turn into
        kind = _library.BFLOAT16
    elif array.dtype.name in _NUMPY_TYPES and array.dtype.isnative:
        kind = _NUMPY_TYPES[array.dtype.name]
    elif array.dtype.kind in 'fiub':
        array, kind = array.astype(numpy.float64), _library.FLOAT64
    else:
        raise ValueError(f'{name}: holds {array.dtype}; numbers are wanted')
    if array.ndim != 2:
        raise _shape_error(name, array.shape)
    if (any(stride % array.itemsize for stride in array.strides) or array.ctypes.data % array.itemsize or
            not any(array.strides)):
        array = numpy.ascontiguousarray(array)  # a structured array's column, an unaligned buffer, one number everywhere
    strides = [stride // array.itemsize for stride in array.strides]
    return _library.Matrix(array.ctypes.data, *array.shape, *strides, kind), array


def integers(value, name, rows):
    """One int64 a row: (array, its pointer). Whole numbers of any type; (n, 1) and (1, n) are n."""
    array = numpy.asarray(_host(value))
    if array.ndim == 2 and 1 in array.shape:
        array = array.reshape(-1)
    if array.shape != (rows,):
        raise ValueError(f'{name}: has the shape {array.shape}; one value for each of the {rows} rows is wanted')
    if array.dtype.kind == 'f':
        whole = array.astype(numpy.int64, copy=True) if numpy.isfinite(array).all() else None
        if whole is None or (whole != array).any():
            raise ValueError(f'{name}: holds {array.dtype} that are no whole numbers')
        array = whole
    if array.dtype.kind not in 'iub':
        raise ValueError(f'{name}: holds {array.dtype}; whole numbers are wanted')
    if array.dtype == numpy.uint64 and rows and array.max() > numpy.iinfo(numpy.int64).max:
        raise ValueError(f'{name}: holds numbers beyond 2^63')
    array = numpy.ascontiguousarray(array, dtype=numpy.int64)
    return array, array.ctypes.data


def labels(value, rows):
    """As `integers`, and names: (array, pointer). The distinct strings, sorted, become 0, 1, 2, …; one-hot rows their column."""
    array = numpy.asarray(_host(value))
    if array.dtype.kind in 'USO' and array.dtype.kind != 'O' or (
            array.dtype.kind == 'O' and array.size and all(isinstance(x, (str, bytes)) for x in array.flat)):
        array = numpy.unique(array.reshape(-1), return_inverse=True)[1]
    elif array.ndim == 2 and 1 not in array.shape and array.shape[0] == rows:
        if not (((array == 0) | (array == 1)).all() and (array.sum(axis=1) == 1).all()):
            raise ValueError(f'labels: have the shape {array.shape} and are not one-hot; one label a row is wanted')
        array = array.argmax(axis=1)
    return integers(array, 'labels', rows)
