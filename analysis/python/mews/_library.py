"""libmews through ctypes: where it is, what it takes, and its one-line messages as exceptions."""
import ctypes
import ctypes.util
import json
import os

VERSION = '0.1.0'
INTERFACE = 1
MESSAGE = 1024
FLOAT32, FLOAT64, FLOAT16, BFLOAT16 = 1, 2, 3, 4


class Matrix(ctypes.Structure):
    """mews_matrix of mews.h."""
    _fields_ = [('data', ctypes.c_void_p), ('rows', ctypes.c_size_t), ('cols', ctypes.c_size_t),
                ('row_stride', ctypes.c_ssize_t), ('col_stride', ctypes.c_ssize_t), ('type', ctypes.c_int)]


class Input(ctypes.Structure):
    """mews_input of mews.h."""
    _fields_ = [('size', ctypes.c_size_t), ('name', ctypes.c_char_p),
                ('embeddings', Matrix), ('labels', ctypes.c_void_p), ('unlabelled', ctypes.c_int64),
                ('has_unlabelled', ctypes.c_int32), ('codes', ctypes.c_void_p),
                ('scores', Matrix), ('code_count', ctypes.c_size_t), ('temperature', ctypes.c_double),
                ('second', Matrix), ('reference', Matrix), ('prototypes', Matrix), ('groups', ctypes.c_void_p),
                ('attainable', ctypes.c_size_t), ('seed', ctypes.c_uint64), ('threads', ctypes.c_int32),
                ('fast', ctypes.c_int32)]


def _candidates():
    """The places where libmews may be, the most deliberate first."""
    here = os.path.dirname(os.path.abspath(__file__))
    if os.environ.get('MEWS_LIBRARY'):
        yield os.environ['MEWS_LIBRARY']
        return
    yield os.path.join(here, 'libmews.so')
    yield os.path.join(here, '..', '..', '..', 'build', 'release', 'libmews.so')  # a checkout, installed with -e
    yield os.path.join(here, '..', '..', '..', 'libmews.so')  # `make install`: PREFIX/lib beside PREFIX/lib/python3.x
    found = ctypes.util.find_library('mews')
    if found:
        yield found


def _open(path):
    """Its OpenMP threads sleep while they wait: spinning, they would take the cores from the training loop around."""
    given = os.environ.get('OMP_WAIT_POLICY')
    os.environ.setdefault('OMP_WAIT_POLICY', 'passive')
    try:
        return ctypes.CDLL(path)
    finally:
        if given is None:
            del os.environ['OMP_WAIT_POLICY']


def _load():
    tried = []
    for path in _candidates():
        try:
            library = _open(path)
            break
        except OSError as problem:
            tried.append(f'{path}: {problem}' if os.path.exists(path) else path)
    else:
        raise ImportError('libmews.so was not found; `make libmews` in a checkout of mews builds it, `make install` '
                          'puts it in its place, MEWS_LIBRARY=PATH names it. Tried: ' + '; '.join(tried))
    library.mews_interface.restype = ctypes.c_int
    if library.mews_interface() != INTERFACE:
        raise ImportError(f'{path} has interface {library.mews_interface()}, this package wants {INTERFACE}; '
                          'install both from one version of mews')
    text, out = ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)
    signatures = {
        'mews_diagnose': [ctypes.POINTER(Input), out, text, ctypes.c_size_t],
        'mews_monitor_open': [text, text, out, text, ctypes.c_size_t],
        'mews_monitor_log': [ctypes.c_void_p, ctypes.c_int64, ctypes.POINTER(Input), text, out, text, ctypes.c_size_t],
        'mews_monitor_close': [ctypes.c_void_p, text, ctypes.c_size_t],
    }
    for name, arguments in signatures.items():
        getattr(library, name).argtypes = arguments
        getattr(library, name).restype = ctypes.c_int
    library.mews_free.argtypes, library.mews_free.restype = [ctypes.c_void_p], None
    return library


_loaded = []


def library():
    """The library, loaded once, when it is first needed."""
    if not _loaded:
        _loaded.append(_load())
    return _loaded[0]


def call(name, *arguments):
    """Calls a function that ends in (message, size). ValueError for what the caller can mend, else RuntimeError."""
    message = ctypes.create_string_buffer(MESSAGE)
    result = getattr(library(), name)(*arguments, message, MESSAGE)
    if result == 0:
        return
    words = message.value.decode('utf-8', 'replace')
    raise (ValueError if result == 2 else RuntimeError)(words)


def call_json(name, *arguments_before_json):
    """The same for a function whose last argument before the message is a char ** of JSON."""
    out = ctypes.c_void_p()
    call(name, *arguments_before_json, ctypes.byref(out))
    try:
        return json.loads(ctypes.string_at(out))
    finally:
        library().mews_free(out)
