"""mews' keyed random numbers again, in NumPy: Philox4x32-10 (Salmon et al., SC 2011) and the streams of engine/rng.h."""
import numpy as np

METHOD = 11  # RNG_METHOD


def philox(counter, key):
    """counter (4 arrays of uint32), key (2 numbers) → 4 arrays of uint32."""
    c = [np.asarray(x, np.uint64) for x in counter]
    k = [int(x) for x in key]
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(b >> np.uint64(32)) ^ c[1] ^ np.uint64(k[0]), b & low, (a >> np.uint64(32)) ^ c[3] ^ np.uint64(k[1]),
             a & low]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def normals(count, seed=0, purpose=METHOD, epoch=0, sample=0, draw=0):
    """The first `count` normal numbers of a stream."""
    key = [seed & 0xFFFFFFFF, seed >> 32]
    mixed = [int(x[0]) for x in philox([[epoch], [sample & 0xFFFFFFFF], [sample >> 32], [(purpose << 16) ^ draw]], key)]
    key = [key[0] ^ mixed[0], key[1] ^ mixed[1]]
    blocks = (count + 1) // 2  # four words make two uniform numbers, which make two normal ones
    ones = np.ones(blocks, np.uint64)
    words = philox([np.arange(blocks), ones * np.uint64(mixed[2]), ones * np.uint64(mixed[3]), ones * np.uint64(purpose)],
                   key)
    uniform = [((high >> np.uint64(5)) * np.uint64(67108864) + (low >> np.uint64(6))) * 2.0 ** -53
               for high, low in (words[:2], words[2:])]
    radius, angle = np.sqrt(-2 * np.log(1 - uniform[0])), 2 * np.pi * uniform[1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).reshape(-1)[:count]


def slices(features, count, step, epoch):
    """methods/slices.h: directions (features, count) as columns of length 1, in float32 as mews holds them."""
    rows = np.stack([normals(count, epoch=epoch, sample=step, draw=i).astype(np.float32) for i in range(features)])
    rows = rows.astype(np.float64)
    return (rows / np.sqrt((rows ** 2).sum(0))).astype(np.float32).astype(np.float64)
