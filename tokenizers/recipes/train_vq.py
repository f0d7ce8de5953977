"""Trains, evaluates and exports the demo image tokenizer (see models/demo-vq/README.md).

    python train_vq.py fetch --photos photos            # download and unpack the photo packages (Debian)
    python train_vq.py train --photos photos --out run --minutes 85
    python train_vq.py export --run run --model ../models/demo-vq
    python train_vq.py evaluate --photos photos --model ../models/demo-vq   # held-out photos
    python train_vq.py refine --photos photos --model ../models/demo-vq --out refined   # more steps, kept as f32
    python train_vq.py golden --out ../src/vq/testdata  # features and tokens the Rust tests compare with

The network is the taming-transformers VQGAN autoencoder without its discriminator: same tensor names, GroupNorm(32)
with eps 1e-6, swish, zero padding on the right and the bottom before each stride-2 convolution, 1x1 `quant_conv`,
and the nearest code by squared distance.
"""

import argparse
import io
import json
import math
import pathlib
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from PIL import Image
from safetensors.numpy import load_file, save_file

CONFIG = {
    "family": "taming",
    "n_embed": 1024,
    "embed_dim": 16,
    "ddconfig": {
        "double_z": False, "z_channels": 64, "resolution": 256, "in_channels": 3, "out_ch": 3,
        "ch": 32, "ch_mult": [1, 1, 2, 3, 3], "num_res_blocks": 1, "attn_resolutions": [16], "dropout": 0.0,
    },
}

# Pictures by Debian package, relative to the folder that the package unpacks to, with the licence of each.
# A picture whose licence debian/copyright or its own metadata doesn't state is left out.
BACKGROUNDS, WALLPAPERS = "usr/share/backgrounds", "usr/share/wallpapers"
PHOTOS = {
    "lomiri-wallpapers-16.04": [(f"{BACKGROUNDS}/{name}.jpg", licence) for name, licence in [
        ("Bridge_by_Sander_Klootwijk", "CC-BY-SA-4.0"), ("Dragonfly_by_Bolly", "CC-BY-SA-4.0"),
        ("Picture_0B_by_freespace", "CC-BY-4.0"), ("Picture_1A_by_freespace", "CC-BY-4.0"),
        ("Wine_by_Jakkub_Mede", "CC-BY-4.0"), ("aitzgorri_by_Aitzol_Berasategi", "CC-BY-4.0"),
        ("analogpattern_by_Peter_Nerlich", "CC-BY-SA-4.0"), ("free_by_Peter_Nerlich", "CC-BY-SA-4.0"),
        ("friends_by_Aitzol_Berasategi", "CC-BY-4.0"), ("greentock_by_Peter_Nerlich", "CC-BY-SA-4.0"),
        ("life_by_Aitzol_Berasategi", "CC-BY-4.0"), ("picosdeeuropa_by_Aitzol_Berasategi", "CC-BY-4.0"),
        ("seeding_by_Clements_Engelhardt", "CC0-1.0"), ("sunset_by_Aitzol_Berasategi", "CC-BY-4.0"),
        ("umang_by_Abhishek_Mudgal", "CC-BY-4.0")]],
    "lomiri-wallpapers-20.04": [(f"{BACKGROUNDS}/{name}.jpg", "CC-BY-SA-3.0") for name in [
        "Fossa_by_Jasper_Roks", "Infinite-Sea_by_Aury88", "Kleiber_by_Lukas_Baubkus",
        "Painting-Colors_by__herobrine7gamer"]],
    "ukui-wallpapers": [(f"{BACKGROUNDS}/{name}", "CC-BY-SA-3.0") for name in [
        "2004default.jpg", "calla.png", "city.png", "desert.png", "firstgeneration.jpg", "fluent-color.png",
        "focal-ubuntukylin.png", "goldfish.png", "rhythm.jpg", "rollpaper.png", "string.jpg", "the-mouse.jpg"]],
    "gnome-backgrounds": [(f"{BACKGROUNDS}/gnome/adwaita-{shade}.webp", "CC-BY-SA-3.0") for shade in "dl"],
    "mate-backgrounds": [(f"{BACKGROUNDS}/mate/{name}", "GPL-2+") for name in [
        "abstract/Elephants_3840x2160.jpg", "abstract/Gulp.png", "desktop/GreenTraditional.jpg",
        "desktop/Stripes.png", "nature/Aqua.jpg", "nature/Blinds.jpg", "nature/Dune.jpg", "nature/FreshFlower.jpg",
        "nature/Garden.jpg", "nature/GreenMeadow.jpg", "nature/LadyBird.jpg", "nature/RainDrops.jpg",
        "nature/Storm.jpg", "nature/TwoWings.jpg", "nature/Wood.jpg", "nature/YellowFlower.jpg"]],
    "plasma-workspace-wallpapers":
        [(f"{WALLPAPERS}/{name}", "CC-BY-SA-4.0") for name in [
            "Altai/contents/images/5120x2880.png", "Flow/contents/images/5120x2880.jpg",
            "Flow/contents/images_dark/5120x2880.jpg", "Honeywave/contents/images/5120x2880.jpg",
            "IceCold/contents/images/5120x2880.png", "Kay/contents/images/5120x2880.png",
            "MilkyWay/contents/images/5120x2880.png", "Patak/contents/images/5120x2880.png",
            "Patak/contents/images_dark/3840x2160.png", "SafeLanding/contents/images/5120x2880.jpg",
            "Shell/contents/images/5120x2880.jpg", "Volna/contents/images/5120x2880.jpg"]]
        + [(f"{WALLPAPERS}/{name}/contents/images/{size}", "LGPL-3") for name, size in [
            *[(name, "2560x1600.jpg") for name in [
                "Autumn", "BytheWater", "ColdRipple", "ColorfulCups", "DarkestHour", "EveningGlow", "FallenLeaf",
                "Grey", "Kite", "OneStandsOut", "Path", "summer_1am"]],
            *[(name, "3840x2160.png") for name in ["Canopee", "Cascade", "Cluster", "Kokkini", "Opal"]],
            ("Elarun", "2560x1600.png"), ("FlyingKonqui", "2560x1600.png"), ("PastelHills", "3200x2000.jpg")]],
}
# Never trained on.
HELD_OUT = {"LadyBird", "YellowFlower", "Storm", "Dragonfly_by_Bolly", "life_by_Aitzol_Berasategi",
            "sunset_by_Aitzol_Berasategi", "Bridge_by_Sander_Klootwijk", "Kleiber_by_Lukas_Baubkus",
            "EveningGlow", "OneStandsOut"}
SHORT_SIDES = [272, 320, 400, 512, 724, 1024]

# Crop side, images per step, and share of the run. Most of the run sees small crops, the end sees whole images,
# because GroupNorm's statistics depend on how much of an image it sees.
PHASES = [(64, 16, 0.45), (128, 4, 0.35), (256, 2, 0.20)]
CONTINUOUS_SHARE = 0.04  # of the run, before there are codes
PEAK_RATE, COMMITMENT, CODE_DECAY, DEAD_BELOW = 8e-4, 0.25, 0.99, 0.05


# ---------------------------------------------------------------- network

@jax.custom_vjp
def conv3(x, weight):
    """3x3 convolution, stride 1, zero padding 1; NHWC and HWIO."""
    return jax.lax.conv_general_dilated(x, weight, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def conv3_gradients(saved, d_out):
    x, weight = saved
    d_x = conv3(d_out, weight[::-1, ::-1].transpose(0, 1, 3, 2))
    # XLA's own weight gradient leaves the cache on large images: 2.5 times slower than the sum over these tiles.
    images, height, width, _ = x.shape
    rows = min(height, max(1, 8192 // width))
    group = max(1, 8192 // (rows * width))
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    d_weight = sum(
        jax.lax.conv_general_dilated(
            padded[image:image + group, row:row + rows + 2], d_out[image:image + group, row:row + rows],
            (1, 1), "VALID", dimension_numbers=("CHWN", "IHWO", "HWNC"))
        for image in range(0, images, group) for row in range(0, height, rows))
    return d_x, d_weight


conv3.defvjp(lambda x, weight: (conv3(x, weight), (x, weight)), conv3_gradients)


def conv(p, name, x):
    weight, bias = p[f"{name}.weight"], p[f"{name}.bias"]
    return (conv3(x, weight) if weight.shape[0] == 3 else x @ weight[0, 0]) + bias


def group_norm(p, name, x):
    n, h, w, c = x.shape
    groups = x.reshape(n, h * w, 32, c // 32)
    mean = groups.mean((1, 3), keepdims=True)
    variance = jnp.square(groups - mean).mean((1, 3), keepdims=True)
    normal = (groups - mean) * jax.lax.rsqrt(variance + 1e-6)
    return normal.reshape(n, h, w, c) * p[f"{name}.weight"] + p[f"{name}.bias"]


def norm_swish(p, name, x):
    return jax.nn.silu(group_norm(p, name, x))


def block(p, name, x):
    h = conv(p, f"{name}.conv1", norm_swish(p, f"{name}.norm1", x))
    h = conv(p, f"{name}.conv2", norm_swish(p, f"{name}.norm2", h))
    return h + (conv(p, f"{name}.nin_shortcut", x) if f"{name}.nin_shortcut.weight" in p else x)


def attention(p, name, x):
    n, h, w, c = x.shape
    normal = group_norm(p, f"{name}.norm", x)
    q, k, v = (conv(p, f"{name}.{part}", normal).reshape(n, h * w, c) for part in "qkv")
    weights = jax.nn.softmax(q @ k.transpose(0, 2, 1) * c ** -0.5, axis=-1)
    return x + conv(p, f"{name}.proj_out", (weights @ v).reshape(n, h, w, c))


def downsample(p, name, x):
    padded = jnp.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
    return jax.lax.conv_general_dilated(padded, p[f"{name}.weight"], (2, 2), "VALID",
                                        dimension_numbers=("NHWC", "HWIO", "NHWC")) + p[f"{name}.bias"]


def middle(p, name, x):
    x = block(p, f"{name}.block_1", x)
    return block(p, f"{name}.block_2", attention(p, f"{name}.attn_1", x))


def attends(dd, level):
    return dd["resolution"] >> level in dd["attn_resolutions"]


def encode(p, dd, x):
    """Features before the quantiser, NHWC, of images in [-1, 1]."""
    levels = len(dd["ch_mult"])
    x = conv(p, "encoder.conv_in", x)
    for level in range(levels):
        for i in range(dd["num_res_blocks"]):
            x = block(p, f"encoder.down.{level}.block.{i}", x)
            if attends(dd, level):
                x = attention(p, f"encoder.down.{level}.attn.{i}", x)
        if level + 1 < levels:
            x = downsample(p, f"encoder.down.{level}.downsample.conv", x)
    x = middle(p, "encoder.mid", x)
    return conv(p, "quant_conv", conv(p, "encoder.conv_out", norm_swish(p, "encoder.norm_out", x)))


def decode(p, dd, z):
    x = conv(p, "decoder.conv_in", conv(p, "post_quant_conv", z))
    x = middle(p, "decoder.mid", x)
    for level in reversed(range(len(dd["ch_mult"]))):
        for i in range(dd["num_res_blocks"] + 1):
            x = block(p, f"decoder.up.{level}.block.{i}", x)
            if attends(dd, level):
                x = attention(p, f"decoder.up.{level}.attn.{i}", x)
        if level:
            x = conv(p, f"decoder.up.{level}.upsample.conv", x.repeat(2, axis=1).repeat(2, axis=2))
    return conv(p, "decoder.conv_out", norm_swish(p, "decoder.norm_out", x))


def nearest(z, codes):
    """The id of the nearest code of each vector in `z` [n, embed_dim]."""
    return jnp.argmin(jnp.square(codes).sum(1) - 2 * z @ codes.T, axis=1)


def tensor_shapes(config, decoder=True):
    """Every tensor by taming's name; convolutions are [out, in, height, width]."""
    dd, shapes = config["ddconfig"], {}
    widths = [dd["ch"] * multiplier for multiplier in dd["ch_mult"]]

    def convolution(name, c_in, c_out, side=3):
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (c_out, c_in, side, side), (c_out,)

    def norm(name, c):
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (c,)

    def residual(name, c_in, c_out):
        norm(f"{name}.norm1", c_in)
        convolution(f"{name}.conv1", c_in, c_out)
        norm(f"{name}.norm2", c_out)
        convolution(f"{name}.conv2", c_out, c_out)
        if c_in != c_out:
            convolution(f"{name}.nin_shortcut", c_in, c_out, 1)

    def attend(name, c):
        norm(f"{name}.norm", c)
        for part in ("q", "k", "v", "proj_out"):
            convolution(f"{name}.{part}", c, c, 1)

    def mid(name, c):
        residual(f"{name}.block_1", c, c)
        attend(f"{name}.attn_1", c)
        residual(f"{name}.block_2", c, c)

    convolution("encoder.conv_in", dd["in_channels"], dd["ch"])
    c = dd["ch"]
    for level, width in enumerate(widths):
        for i in range(dd["num_res_blocks"]):
            residual(f"encoder.down.{level}.block.{i}", c, width)
            c = width
            if attends(dd, level):
                attend(f"encoder.down.{level}.attn.{i}", c)
        if level + 1 < len(widths):
            convolution(f"encoder.down.{level}.downsample.conv", c, c)
    mid("encoder.mid", c)
    norm("encoder.norm_out", c)
    convolution("encoder.conv_out", c, dd["z_channels"])
    convolution("quant_conv", dd["z_channels"], config["embed_dim"], 1)
    shapes["quantize.embedding.weight"] = (config["n_embed"], config["embed_dim"])
    if not decoder:
        return shapes
    convolution("post_quant_conv", config["embed_dim"], dd["z_channels"], 1)
    convolution("decoder.conv_in", dd["z_channels"], c)
    mid("decoder.mid", c)
    for level in reversed(range(len(widths))):
        for i in range(dd["num_res_blocks"] + 1):
            residual(f"decoder.up.{level}.block.{i}", c, widths[level])
            c = widths[level]
            if attends(dd, level):
                attend(f"decoder.up.{level}.attn.{i}", c)
        if level:
            convolution(f"decoder.up.{level}.upsample.conv", c, c)
    norm("decoder.norm_out", c)
    convolution("decoder.conv_out", c, dd["out_ch"])
    return shapes


def to_training_layout(tensors):
    return {name: t.transpose(2, 3, 1, 0) if t.ndim == 4 else t for name, t in tensors.items()}


def to_file_layout(tensors):
    return {name: np.ascontiguousarray(np.asarray(t).transpose(3, 2, 0, 1)) if t.ndim == 4 else np.asarray(t)
            for name, t in tensors.items()}


def initial_parameters(config, seed):
    random, tensors = np.random.default_rng(seed), {}
    for name, shape in tensor_shapes(config).items():
        if len(shape) == 4:
            # The last layer of each residual branch starts small, so that a block starts near the identity.
            gain = 0.1 if name.endswith(("conv2.weight", "proj_out.weight")) else 1.0
            tensors[name] = random.normal(size=shape) * gain / math.sqrt(math.prod(shape[1:]))
        elif name == "quantize.embedding.weight":
            continue
        else:
            tensors[name] = np.full(shape, 1.0 if "norm" in name and name.endswith("weight") else 0.0)
    return to_training_layout({name: t.astype(np.float32) for name, t in tensors.items()})


# ---------------------------------------------------------------- photos

def listed(photos, held_out):
    for package, files in PHOTOS.items():
        for path, _ in files:
            if any(part.split(".")[0] in HELD_OUT for part in pathlib.Path(path).parts) == held_out:
                yield pathlib.Path(photos) / package / path


def scaled(path, short_side):
    picture = Image.open(path)
    picture.draft("RGB", (2 * short_side, 2 * short_side))
    if picture.mode != "RGB":
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    factor = short_side / min(picture.size)
    size = [max(short_side, round(side * factor)) for side in picture.size]
    return picture.resize(size, Image.BICUBIC)


def load_pyramids(photos):
    def pyramid(path):
        largest = scaled(path, SHORT_SIDES[-1])
        return [np.asarray(largest.resize([round(side * s / SHORT_SIDES[-1]) for side in largest.size], Image.BOX))
                for s in SHORT_SIDES]
    Image.MAX_IMAGE_PIXELS = None
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(pyramid, listed(photos, held_out=False)))


def draw_crops(pyramids, seed, step, side, count):
    """Crops of random pictures, scales and places, keyed by the step alone."""
    random = np.random.default_rng([seed, step])
    crops = np.empty((count, side, side, 3), np.float32)
    for crop in crops:
        levels = pyramids[random.integers(len(pyramids))]
        picture = levels[random.integers(len(levels))]
        top, left = (random.integers(extent - side + 1) for extent in picture.shape[:2])
        piece = picture[top:top + side, left:left + side]
        if random.random() < 0.5:
            piece = piece[:, ::-1]
        if random.random() < 0.15:  # few pictures, so a few more colours
            piece = piece[..., random.permutation(3)]
        crop[:] = piece / np.float32(127.5) - 1
    return crops


def held_out_crops(photos, side=256):
    Image.MAX_IMAGE_PIXELS = None
    crops, names = [], []
    for path in listed(photos, held_out=True):
        picture = scaled(path, side)
        left, top = ((extent - side) // 2 for extent in picture.size)
        crops.append(np.asarray(picture.crop((left, top, left + side, top + side)), np.float32) / 127.5 - 1)
        names.append(next(part.split(".")[0] for part in path.parts if part.split(".")[0] in HELD_OUT))
    return names, np.stack(crops)


# ---------------------------------------------------------------- training

def reconstruction_loss(x, r):
    error = r - x
    loss = 0.5 * jnp.abs(error).mean() + jnp.square(error).mean()
    for axis in (1, 2):
        loss += 0.25 * jnp.abs(jnp.diff(error, axis=axis)).mean()
    small = error.reshape(error.shape[0], error.shape[1] // 8, 8, error.shape[2] // 8, 8, 3).mean((2, 4))
    return loss + jnp.square(small).mean()


def make_step(config, optimizer, quantised):
    dd = config["ddconfig"]

    def loss_of(p, codes, x):
        z = encode(p, dd, x)
        flat = z.reshape(-1, z.shape[-1])
        if not quantised:
            return reconstruction_loss(x, decode(p, dd, z)), (flat, None)
        ids = nearest(jax.lax.stop_gradient(flat), codes)
        q = codes[ids].reshape(z.shape)
        straight = z + jax.lax.stop_gradient(q - z)
        loss = reconstruction_loss(x, decode(p, dd, straight))
        return loss + COMMITMENT * jnp.square(z - q).mean(), (flat, ids)

    @partial(jax.jit, donate_argnums=0)
    def step(state, x, key):
        (loss, (z, ids)), gradients = jax.value_and_grad(loss_of, has_aux=True)(state["p"], state["codes"], x)
        updates, optimizer_state = optimizer.update(gradients, state["optimizer"], state["p"])
        state = dict(state, p=optax.apply_updates(state["p"], updates), optimizer=optimizer_state)
        if quantised:
            state = follow_codes(state, z, ids, key)
        return state, loss, z

    return step


def follow_codes(state, z, ids, key):
    """Moves each code to the running mean of its vectors; a code that nobody chooses restarts at one of them."""
    count = state["codes"].shape[0]
    used = jnp.zeros(count).at[ids].add(1.0)
    uses = CODE_DECAY * state["uses"] + (1 - CODE_DECAY) * used
    sums = CODE_DECAY * state["sums"] + (1 - CODE_DECAY) * jnp.zeros_like(state["sums"]).at[ids].add(z)
    mean_uses = z.shape[0] / count
    pick, coin = jax.random.split(key)
    dead = (uses < DEAD_BELOW * mean_uses) & (jax.random.uniform(coin, (count,)) < 0.1)
    restart = z[jax.random.randint(pick, (count,), 0, z.shape[0])]
    uses = jnp.where(dead, mean_uses, uses)
    sums = jnp.where(dead[:, None], restart * mean_uses, sums)
    return dict(state, uses=uses, sums=sums, codes=sums / jnp.maximum(uses, 1e-5)[:, None])


def rate(progress):
    warm = min(1.0, progress / 0.01 + 0.02)
    return PEAK_RATE * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * max(0.0, (progress - 0.3) / 0.7))))


def save_state(path, state, step, spent):
    leaves = jax.tree.leaves(state)
    np.savez(f"{path}.part.npz", step=step, spent=spent, **{f"leaf{i}": leaf for i, leaf in enumerate(leaves)})
    pathlib.Path(f"{path}.part.npz").replace(path)


def load_state(path, state):
    saved = np.load(path)
    leaves, tree = jax.tree.flatten(state)
    restored = [jnp.asarray(saved[f"leaf{i}"], leaf.dtype) for i, leaf in enumerate(leaves)]
    return jax.tree.unflatten(tree, restored), int(saved["step"]), float(saved["spent"])


def initial_state(seed):
    optimizer = optax.inject_hyperparams(
        lambda learning_rate: optax.chain(optax.clip_by_global_norm(1.0),
                                          optax.adam(learning_rate, b1=0.9, b2=0.99)))(learning_rate=PEAK_RATE)
    p, codes = initial_parameters(CONFIG, seed), jnp.zeros((CONFIG["n_embed"], CONFIG["embed_dim"]))
    state = {"p": p, "codes": codes, "uses": jnp.ones(codes.shape[0]), "sums": jnp.zeros_like(codes),
             "optimizer": optimizer.init(p)}
    return state, optimizer


def train(arguments):
    out = pathlib.Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    pyramids = load_pyramids(arguments.photos)
    state, optimizer = initial_state(arguments.seed)
    step, spent = 0, 0.0
    if (out / "state.npz").exists():
        state, step, spent = load_state(out / "state.npz", state)
    steps = {quantised: make_step(CONFIG, optimizer, quantised) for quantised in (False, True)}
    key, budget, started = jax.random.key(arguments.seed), arguments.minutes * 60, time.monotonic() - spent
    recent_z, last_saved, losses = [], time.monotonic(), []
    schedule = json.loads(pathlib.Path(arguments.replay).read_text()) if arguments.replay else None
    progress_log = json.loads((out / "schedule.json").read_text()) if step else []
    progress_log = progress_log[:step // 20]
    with ThreadPoolExecutor(1) as reader:
        ahead = None
        while True:
            # The clock decides how far the run is; each reading is kept, so that `--replay` repeats the same steps.
            if step % 20 == 0:
                if schedule:
                    progress = schedule[step // 20] if step // 20 < len(schedule) else 1.0
                else:
                    progress = (time.monotonic() - started) / budget
                progress_log.append(progress)
            if progress >= 1.0:
                break
            side, count = phase(progress)
            if ahead is None or ahead[0] != (step, side):
                ahead = ((step, side), reader.submit(draw_crops, pyramids, arguments.seed, step, side, count))
            x = ahead[1].result()
            ahead = ((step + 1, side), reader.submit(draw_crops, pyramids, arguments.seed, step + 1, side, count))
            quantised = progress >= CONTINUOUS_SHARE
            if quantised and recent_z:
                state, recent_z = begin_codes(state, np.concatenate(recent_z), arguments.seed), []
            state["optimizer"].hyperparams["learning_rate"] = jnp.float32(rate(progress))
            state, loss, z = steps[quantised](state, x, jax.random.fold_in(key, step))
            losses.append(float(loss))
            if not quantised:
                recent_z = (recent_z + [np.asarray(z)])[-100:]
            step += 1
            if step % 100 == 0:
                alive = int((np.asarray(state["uses"]) > DEAD_BELOW * z.shape[0] / CONFIG["n_embed"]).sum())
                print(f"step {step} crop {side} progress {progress:.4f} loss {np.mean(losses):.4f} "
                      f"codes in use {alive} seconds {time.monotonic() - started:.0f}", flush=True)
                losses = []
            if time.monotonic() - last_saved > 180 and step % 20 == 0:
                save_state(out / "state.npz", state, step, time.monotonic() - started)
                (out / "schedule.json").write_text(json.dumps([round(x, 6) for x in progress_log]))
                last_saved = time.monotonic()
    save_state(out / "state.npz", state, step, time.monotonic() - started)
    (out / "schedule.json").write_text(json.dumps([round(x, 6) for x in progress_log]))


def phase(progress):
    for side, count, share in PHASES:
        if progress < share:
            return side, count
        progress -= share
    return PHASES[-1][:2]


def begin_codes(state, z, seed):
    """The first codes: a few rounds of k-means over what the encoder says before there are any."""
    random = np.random.default_rng([seed, 1])
    codes = z[random.choice(len(z), CONFIG["n_embed"], replace=len(z) < CONFIG["n_embed"])]
    for _ in range(8):
        ids = np.asarray(nearest(z, codes))
        counts = np.bincount(ids, minlength=len(codes))
        sums = np.zeros_like(codes)
        np.add.at(sums, ids, z)
        codes = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None],
                         z[random.choice(len(z), len(codes))]).astype(np.float32)
    uses = jnp.full(len(codes), 0.25)
    return dict(state, codes=jnp.asarray(codes), uses=uses, sums=jnp.asarray(codes) * uses[:, None])


# ---------------------------------------------------------------- export, evaluation, golden values

def export(arguments):
    state, _ = initial_state(0)
    state, step, _ = load_state(pathlib.Path(arguments.run) / "state.npz", state)
    print(f"step {step}: {write_model(arguments.model, CONFIG, state, np.float16):,} parameters")


REFINING_RATE = 2e-5


def refine(arguments):
    """Trains a finished model a little further on whole squares, and writes it in single precision: a model as good as the
    one it was, whose weights no 16 bits hold."""
    config, p, codes = load_model(arguments.model)
    pyramids = load_pyramids(arguments.photos)
    state, optimizer = initial_state(0)
    uses = jnp.full(len(codes), 0.5)
    state = dict(state, p=p, codes=codes, uses=uses, sums=codes * uses[:, None], optimizer=optimizer.init(p))
    state["optimizer"].hyperparams["learning_rate"] = jnp.float32(REFINING_RATE)
    train_step, key = make_step(config, optimizer, True), jax.random.key(arguments.seed)
    side, count, _ = PHASES[-1]
    for step in range(arguments.steps):
        x = draw_crops(pyramids, arguments.seed + 1000, step, side, count)
        state, loss, _ = train_step(state, x, jax.random.fold_in(key, step))
        print(f"step {step + 1} loss {float(loss):.4f}", flush=True)
    write_model(arguments.out, config, state, np.float32)


def write_model(folder, config, state, precision):
    tensors = to_file_layout(state["p"]) | {"quantize.embedding.weight": np.asarray(state["codes"])}
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: t.astype(precision) for name, t in sorted(tensors.items())}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    return sum(t.size for t in tensors.values())


def load_model(folder):
    folder = pathlib.Path(folder)
    tensors = {name: t.astype(np.float32) for name, t in load_file(folder / "model.safetensors").items()}
    codes = jnp.asarray(tensors.pop("quantize.embedding.weight"))
    return json.loads((folder / "config.json").read_text()), to_training_layout(tensors), codes


def psnr_of(original, levels):
    return 10 * math.log10(255 ** 2 / np.square(original - levels).mean())


def ssim_of(original, levels):
    """Structural similarity of the luma (Wang et al. 2004): windows of 11 pixels that weigh as a Gaussian of 1.5."""
    window = np.exp(-np.square(np.arange(-5, 6)) / 4.5)
    window /= window.sum()

    def blurred(x):
        return np.apply_along_axis(np.convolve, 1, np.apply_along_axis(np.convolve, 0, x, window, "valid"), window, "valid")

    a, b = (np.asarray(x, np.float64) @ [0.299, 0.587, 0.114] for x in (original, levels))
    mean_a, mean_b = blurred(a), blurred(b)
    variances = blurred(a * a) + blurred(b * b) - mean_a ** 2 - mean_b ** 2
    covariance = blurred(a * b) - mean_a * mean_b
    first, second = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = (2 * mean_a * mean_b + first) * (2 * covariance + second)
    return float((similarity / ((mean_a ** 2 + mean_b ** 2 + first) * (variances + second))).mean())


def bytes_of(file, form):
    """A WebP file whole; of a JPEG file the pixels alone: 600 bytes of headers, all the same, would leave nothing for them."""
    data = file.getvalue()
    if form == "WEBP":
        return len(data)
    scan = data.index(b"\xff\xda")
    return len(data) - scan - 2 - int.from_bytes(data[scan + 2:scan + 4]) - len(b"\xff\xd9")


def at_the_same_bytes(original, size, form):
    """What a format makes of so many bytes: the best of all smaller versions that fit, scaled up again."""
    picture, best = Image.fromarray(original.astype(np.uint8)), None
    for side in range(16, original.shape[0] + 1, 8):
        small = picture.resize((side, side), Image.BICUBIC)
        for quality in [75, 50, 30, 15, 5, 1]:
            file = io.BytesIO()
            small.save(file, form, quality=quality, **({"method": 6} if form == "WEBP" else {}))
            if bytes_of(file, form) <= size:
                restored = np.asarray(Image.open(file).convert("RGB").resize(picture.size, Image.BICUBIC), np.float32)
                if best is None or psnr_of(original, restored) > psnr_of(original, best):
                    best = restored
    return best


def evaluate(arguments):
    config, p, codes = load_model(arguments.model)
    dd = config["ddconfig"]

    @jax.jit
    def reconstruct(x):
        z = encode(p, dd, x)
        ids = nearest(z.reshape(-1, z.shape[-1]), codes)
        return ids, decode(p, dd, codes[ids].reshape(z.shape))

    names, crops = held_out_crops(arguments.photos)
    size = 256 * math.ceil(math.log2(len(codes))) // 8
    all_ids, rows, pairs = [], [], []
    print(f"| photo | codes | PSNR | SSIM | JPEG, {size} bytes: PSNR | SSIM | WebP, {size} bytes: PSNR | SSIM |")
    print("| --- |" + " --- |" * 7)
    for name, x in zip(names, crops):
        ids, r = reconstruct(x[None])
        levels = np.clip(np.round((np.asarray(r[0]) + 1) * 127.5), 0, 255)
        original = np.round((x + 1) * 127.5)
        pictures = [levels, *(at_the_same_bytes(original, size, form) for form in ("JPEG", "WEBP"))]
        row = [measure(original, picture) for picture in pictures for measure in (psnr_of, ssim_of)]
        all_ids.append(np.asarray(ids))
        rows.append(row)
        pairs.append(np.concatenate([original, *pictures], 0))
        print(table_row(name, len(np.unique(ids)), row), flush=True)
    ids = np.concatenate(all_ids)
    shares = np.bincount(ids, minlength=len(codes)) / ids.size
    perplexity = math.exp(-sum(share * math.log(share) for share in shares if share))
    print(table_row("mean", len(np.unique(ids)), np.mean(rows, 0)))
    print(f"\n{len(np.unique(ids))} of {len(codes)} codes in {ids.size} ids, perplexity {perplexity:.0f}")
    if arguments.pictures:
        Image.fromarray(np.concatenate(pairs, 1).astype(np.uint8)).save(arguments.pictures)


def table_row(name, codes, row):
    numbers = (f"{x:.3f}" if place % 2 else f"{x:.2f} dB" for place, x in enumerate(row))
    return " | ".join([f"| {name}", str(codes), *numbers]) + " |"


GOLDEN_CONFIG = {
    "family": "taming", "n_embed": 64, "embed_dim": 8,
    "ddconfig": {"z_channels": 16, "resolution": 64, "in_channels": 3, "out_ch": 3, "ch": 32, "ch_mult": [1, 1, 2],
                 "num_res_blocks": 2, "attn_resolutions": [16], "dropout": 0.0, "double_z": False},
}


def hashed_numbers(name, count):
    """Numbers from -1 to 1 that any language can make again: SplitMix64 of FNV-1a of the name, plus the place."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2 ** 64
    with np.errstate(over="ignore"):
        x = (np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return (x >> np.uint64(40)).astype(np.float64) / 2 ** 23 - 1


def golden_tensor(name, shape):
    numbers = hashed_numbers(name, math.prod(shape)).reshape(shape)
    if len(shape) == 4:
        numbers = numbers * math.sqrt(3 / math.prod(shape[1:]))
    elif "norm" in name and name.endswith("weight"):
        numbers = 1 + 0.2 * numbers
    return numbers.astype(np.float32)


def golden(arguments):
    """Features and ids in double precision, of weights and images that the Rust tests make again by themselves."""
    jax.config.update("jax_enable_x64", True)
    shapes = tensor_shapes(GOLDEN_CONFIG, decoder=False)
    tensors = {name: golden_tensor(name, shape).astype(np.float64) for name, shape in shapes.items()}
    codes = tensors.pop("quantize.embedding.weight")
    dd, images = GOLDEN_CONFIG["ddconfig"], []
    side = dd["resolution"]
    for index in range(2):
        levels = np.floor((hashed_numbers(f"image {index}", side * side * 3) + 1) * 128).astype(np.uint8)
        z = encode(to_training_layout(tensors), dd, levels.reshape(1, side, side, 3) / 127.5 - 1)
        flat = np.asarray(z).reshape(-1, GOLDEN_CONFIG["embed_dim"])
        distances = np.sort(np.square(flat[:, None] - codes[None]).sum(-1), axis=1)
        images.append({"ids": np.asarray(nearest(flat, codes)).tolist(),
                       "features": [float(f"{x:.7g}") for x in flat.ravel()],
                       "smallest_margin": float(f"{(distances[:, 1] - distances[:, 0]).min():.4g}")})
    out = pathlib.Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "golden.json").write_text(json.dumps({"config": GOLDEN_CONFIG, "shapes": shapes, "images": images}) + "\n")


def fetch(arguments):
    photos = pathlib.Path(arguments.photos)
    for package in PHOTOS:
        (photos / package).mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", package], cwd=photos, check=True)
        archive = next(photos.glob(f"{package}_*.deb"))
        subprocess.run(["dpkg", "-x", archive.name, package], cwd=photos, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    options = {
        "--photos": {"required": True}, "--out": {"required": True}, "--run": {"required": True},
        "--model": {"required": True}, "--minutes": {"type": float, "default": 85.0},
        "--steps": {"type": int, "default": 30}, "--seed": {"type": int, "default": 1},
        "--replay": {"help": "schedule.json of the run to repeat"},
        "--pictures": {"help": "write originals above decoded ids, JPEG and WebP to this PNG"},
    }
    for command, names in [(fetch, ["--photos"]), (train, ["--photos", "--out", "--minutes", "--seed", "--replay"]),
                           (export, ["--run", "--model"]),
                           (refine, ["--photos", "--model", "--out", "--steps", "--seed"]),
                           (evaluate, ["--photos", "--model", "--pictures"]), (golden, ["--out"])]:
        subparser = commands.add_parser(command.__name__)
        for name in names:
            subparser.add_argument(name, **options[name])
        subparser.set_defaults(call=command)
    arguments = parser.parse_args()
    arguments.call(arguments)


if __name__ == "__main__":
    main()
