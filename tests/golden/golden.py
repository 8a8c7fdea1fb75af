"""Writes golden values as safetensors, the format the C tests read: `save('subject', {'name': numpy_array, ...})`."""
import json
import os
import struct

import numpy

DTYPES = {'bool': 'BOOL', 'uint8': 'U8', 'int8': 'I8', 'uint16': 'U16', 'int16': 'I16', 'float16': 'F16',
          'uint32': 'U32', 'int32': 'I32', 'float32': 'F32', 'uint64': 'U64', 'int64': 'I64', 'float64': 'F64'}


def save(subject, arrays, metadata=None):
    """tests/golden/<subject>.safetensors: 8 bytes of header length, JSON header padded to 8 bytes, the data by name."""
    header, blobs, offset = {}, [], 0
    if metadata:
        header['__metadata__'] = {str(key): str(value) for key, value in metadata.items()}
    for name, array in sorted(arrays.items()):
        array = numpy.asarray(array)
        blob = array.astype(array.dtype.newbyteorder('<')).tobytes()
        header[name] = {'dtype': DTYPES[array.dtype.name], 'shape': list(array.shape),
                        'data_offsets': [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), subject + '.safetensors')
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text + b''.join(blobs))
    print(f'{path}: {len(arrays)} arrays, {8 + len(text) + offset} bytes')
