"""Published masking rules written down from their descriptions: of code that isn't under a permissive licence (I-JEPA, UM-MAE,
LMD), and of ColorMAE's filters, whose code isn't public."""

import math
import types

import numpy as np

from draws import not32

# The standard deviations and passes that were fitted to ColorMAE's figure of spectra: `color_noise.rs` says how.
FILTERS = {"white": (0, 0, 0), "red": (3, 0, 1), "green": (0.63, 1.75, 5), "blue": (0.48, 0, 4), "purple": (0.48, 1.5, 4)}


def filtered(white: np.ndarray, color: str) -> np.ndarray:
    """ColorMAE's filter of white noise on a torus, its Gaussian blurs by Fourier transform."""
    s1, s2, passes = FILTERS[color]
    squares = np.add.outer(*(np.fft.fftfreq(side) ** 2 for side in white.shape))

    def blurred(noise, s):
        return np.fft.ifft2(np.fft.fft2(noise) * np.exp(-2 * math.pi**2 * s * s * squares)).real

    for _ in range(passes):
        white = {
            "red": lambda w: blurred(w, s1),
            "green": lambda w: blurred(w, s1) - blurred(w, s2),
            "blue": lambda w: w - blurred(w, s1),
            "purple": lambda w: w - (blurred(w, s1) - blurred(w, s2)),
        }[color](white)
    return white


def response(color: str, frequency: np.ndarray) -> np.ndarray:
    s1, s2, passes = FILTERS[color]
    blur = lambda s: np.exp(-2 * math.pi**2 * s * s * frequency**2)
    once = {
        "white": lambda: np.ones_like(frequency),
        "red": lambda: blur(s1),
        "green": lambda: blur(s1) - blur(s2),
        "blue": lambda: 1 - blur(s1),
        "purple": lambda: 1 - blur(s1) + blur(s2),
    }[color]()
    return once**passes


def waves(period: int) -> np.ndarray:
    """The orthonormal waves of a torus, one a row: the constant, then a cosine and a sine of each frequency."""
    places = np.arange(period)
    rows = []
    for index in range(period):
        frequency = (index + 1) // 2
        scale = math.sqrt((1 if frequency == 0 or 2 * frequency == period else 2) / period)
        wave = np.cos if index % 2 == 1 or index == 0 else np.sin
        rows.append(scale * wave(2 * math.pi * frequency * places / period))
    return np.array(rows)


def filtered_noise(draws, sides, color: str) -> np.ndarray:
    """White noise, made of one number for each pair of a row's and a column's wave, then filtered; its first corner.

    Pageloom draws no number where the filter leaves less than 1/10000 of the most: there the noise has none.
    """
    if color == "white":
        return draws.white(math.prod(sides)).reshape(sides)
    s1, s2, passes = FILTERS[color]
    margin = math.ceil(6 * max(s1, s2) * math.sqrt(passes))
    periods = [side + margin for side in sides]
    frequencies = [(np.arange(period) + 1) // 2 / period for period in periods]
    kept = np.abs(response(color, np.hypot(frequencies[0][:, None], frequencies[1])))
    kept = kept > kept.max() * 1e-4
    weights = np.zeros(periods)
    for row, is_kept in enumerate(kept):
        count = is_kept.nonzero()[0][-1] + 1 if is_kept.any() else 0
        words = draws.words(count)
        # The sum of four bytes, with mean 0 and variance 1.
        bytes_of = sum((words >> shift & 0xFF).astype(np.int64) for shift in (0, 8, 16, 24))
        weights[row, :count] = (bytes_of - 510) / math.sqrt(4 * (256**2 - 1) / 12)
    white = waves(periods[0]).T @ weights @ waves(periods[1])
    return filtered(white, color)[: sides[0], : sides[1]].copy()


def stored_window(streams, key, view, sides, settings) -> np.ndarray:
    """A window of a stored pattern: the image has its own pattern, and the view's images share crop and flips."""
    size, patterns = settings["shared_window"]["size"], settings["shared_window"]["patterns"]
    own, shared = streams.of(key, view), streams.of(b"", view)
    number = own.within(0, patterns)
    pattern = filtered_noise(streams.of(b"", not32(number)), (size, size), settings["color"])
    top, left = shared.within(0, size - sides[0] + 1), shared.within(0, size - sides[1] + 1)
    window = pattern[top : top + sides[0], left : left + sides[1]]
    mirrored, upside_down = shared.uniform() < 0.5, shared.uniform() < 0.5
    window = window[:, ::-1] if mirrored else window
    return (window[::-1] if upside_down else window).copy()


def multi_block(case, key, view):
    """I-JEPA's context and four targets: one draw gives both scale and aspect, and no block ends at the last row or column."""
    _, rows, columns = case.grid
    places, sizes = case.streams.of(key, view), case.streams.of(b"", not32(view))

    def size(scale, aspect):
        drawn = sizes.uniform()
        area = int(rows * columns * (scale[0] + drawn * (scale[1] - scale[0])))
        aspect = aspect[0] + drawn * (aspect[1] - aspect[0])
        high, wide = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        while high >= rows:
            high -= 1
        while wide >= columns:
            wide -= 1
        return high, wide

    def place(high, wide):
        block = np.zeros((rows, columns), bool)
        top, left = int(places.uniform() * (rows - high)), int(places.uniform() * (columns - wide))
        block[top : top + high, left : left + wide] = True
        return block

    target, context = size((0.15, 0.2), (0.75, 1.5)), size((0.85, 1.0), (1.0, 1.0))
    targets = [place(*target) for _ in range(4)]
    tries, avoided = 0, list(targets)
    while True:
        seen = place(*context) & ~np.any([np.zeros((rows, columns), bool), *avoided], axis=0)
        if seen.sum() > 10:
            return [mask.reshape(-1).astype(int).tolist() for mask in (~seen, *targets)]
        tries += 1
        if tries % 20 == 0:
            avoided = avoided[:-1]


def uniform(case, key, view):
    """UM-MAE: one visible patch of each 2 x 2, the four places as often as each other; a quarter of them become mask tokens."""
    _, rows, columns = case.grid
    draws = case.streams.of(key, view)
    blocks = rows // 2 * (columns // 2)
    first = draws.within(0, 4)
    pool = [(number + first) % 4 for number in range(blocks)]
    draws.shuffle(pool)
    masked, replaced = np.ones((rows, columns), int), np.zeros((rows, columns), int)
    cells = [
        (2 * (block // (columns // 2)) + place // 2, 2 * (block % (columns // 2)) + place % 2)
        for block, place in enumerate(pool)
    ]
    for cell in cells:
        masked[cell] = 0
    order = np.argsort(draws.white(blocks), kind="stable")
    for block in order[blocks - int(case.config["uniform"]["secondary_ratio"] * blocks) :]:
        replaced[cells[block]] = 1
    return [masked.reshape(-1).tolist(), replaced.reshape(-1).tolist()]


def lmd_schedules():
    """LMD's ratios over the steps of a training: `cosine` is the one it trains with, the others stand beside it.

    The second rise of the steps is counted from where it begins; the authors' code counts it from the first step.
    """

    def cosine(step, total):
        end = 2 * total // 3
        at = lambda x: math.cos((x / end + 0.008) / 1.008 * math.pi / 2) ** 2
        return 0.75 if step >= end else 0.15 + 0.60 * (1 - at(step) / at(0))

    def steps(step, total):
        if step < total / 6:
            return 0.15 + 0.25 * step / (total / 6)
        if step < total / 3:
            return 0.40
        return 0.40 + 0.35 * (step - total / 3) / (total / 3) if step < 2 * total / 3 else 0.75

    def linear(step, total):
        return 0.15 + 0.60 * step / total

    found = []
    for total in (300, 1000):
        views = [*range(0, total, total // 30), total - 1]
        ends = {"views": total, "from": 0.15, "to": 0.75}
        for schedule, share in (
            ({"cosine": ends}, cosine), ({"lmd_piecewise": {"views": total}}, steps), ({"linear": ends}, linear),
        ):  # fmt: skip
            found.append({"schedule": schedule, "shares": [[view, share(view, total)] for view in views]})
    return found


def cases():
    from references import Case

    def of(source):
        return types.SimpleNamespace(source=source, licence="formula")

    ijepa = of("I-JEPA, arXiv 2301.08243: by formula")
    for side in (16, 14, 20):
        yield Case(f"multi_block_{side}", "multi_block", {}, (1, side, side), multi_block, ijepa, images=12)
    um_mae = of("UM-MAE, arXiv 2205.10063: by formula")
    for rows, columns in ((16, 16), (14, 14), (6, 10)):
        settings = {"secondary_ratio": 0.25}
        name = f"um_mae_{rows}x{columns}"
        yield Case(name, "uniform", settings, (1, rows, columns), uniform, um_mae, images=12)
