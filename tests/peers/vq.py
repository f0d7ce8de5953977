"""Times the VQ encoder beside ONNX Runtime's CPU provider: the same weights, the same images, one thread each.

    python tests/peers/vq.py --bench target/release/examples/bench_vq --into target/peers/vq MODEL...

MODEL is a model folder, or `full`: the taming f16 encoder at its published size, with weights from a seed. Each round runs
both; what is printed is CPU seconds per image, as the median over the rounds, and how many ids are equal.
"""

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file, save_file

FULL = {
    "family": "taming",
    "n_embed": 1024,
    "embed_dim": 256,
    "ddconfig": {
        "double_z": False,
        "z_channels": 256,
        "resolution": 256,
        "in_channels": 3,
        "out_ch": 3,
        "ch": 128,
        "ch_mult": [1, 1, 2, 2, 4],
        "num_res_blocks": 2,
        "attn_resolutions": [16],
        "dropout": 0.0,
    },
}
GROUPS = 32


class Graph:
    """The encoder as ONNX nodes; `tensors` gives each weight by name and shape."""

    def __init__(self, config, tensors):
        self.config, self.tensors = config, tensors
        self.nodes, self.constants = [], {}
        self.side = config["ddconfig"]["resolution"]
        self.multiplications = 0

    def node(self, operation, *inputs, **attributes):
        name = f"{operation}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, list(inputs), [name], **attributes))
        return name

    def constant(self, value):
        name = f"constant_{len(self.constants)}"
        self.constants[name] = numpy.asarray(value)
        return name

    def weight(self, name, *shape):
        self.constants[name] = self.tensors(name, shape)
        return name

    def conv(self, x, name, before, after, kernel=3, stride=1, pads=(1, 1, 1, 1)):
        weight = self.weight(f"{name}.weight", after, before, kernel, kernel)
        bias = self.weight(f"{name}.bias", after)
        pads = pads if kernel == 3 else (0, 0, 0, 0)
        self.side //= stride
        self.multiplications += self.side**2 * kernel**2 * before * after
        return self.node("Conv", x, weight, bias, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads)

    def norm(self, x, name, channels):
        """One instance of normalisation per group is what ONNX Runtime's CPU provider runs fastest."""
        ones = self.constant(numpy.ones(GROUPS, numpy.float32))
        zeros = self.constant(numpy.zeros(GROUPS, numpy.float32))
        grouped = self.node("Reshape", x, self.constant(numpy.array([0, GROUPS, -1])))
        normal = self.node("InstanceNormalization", grouped, ones, zeros, epsilon=1e-6)
        normal = self.node("Reshape", normal, self.node("Shape", x))
        for part, operation in (("weight", "Mul"), ("bias", "Add")):
            self.weight(f"{name}.{part}", channels)
            shaped = self.constant(self.constants.pop(f"{name}.{part}").reshape(channels, 1, 1))
            normal = self.node(operation, normal, shaped)
        return normal

    def swish(self, x):
        return self.node("Mul", x, self.node("Sigmoid", x))

    def residual(self, x, name, before, after):
        y = self.conv(self.swish(self.norm(x, f"{name}.norm1", before)), f"{name}.conv1", before, after)
        y = self.conv(self.swish(self.norm(y, f"{name}.norm2", after)), f"{name}.conv2", after, after)
        if before != after:
            x = self.conv(x, f"{name}.nin_shortcut", before, after, kernel=1)
        return self.node("Add", x, y)

    def attention(self, x, name, channels):
        normal = self.norm(x, f"{name}.norm", channels)
        flat = self.constant(numpy.array([0, channels, -1]))
        query, key, value = (
            self.node("Reshape", self.conv(normal, f"{name}.{part}", channels, channels, kernel=1), flat)
            for part in "qkv"
        )
        self.multiplications += 2 * self.side**4 * channels
        scores = self.node("MatMul", self.node("Transpose", query, perm=[0, 2, 1]), key)
        scores = self.node("Mul", scores, self.constant(numpy.float32(channels**-0.5)))
        weights = self.node("Transpose", self.node("Softmax", scores, axis=-1), perm=[0, 2, 1])
        mixed = self.node("Reshape", self.node("MatMul", value, weights), self.node("Shape", x))
        return self.node("Add", x, self.conv(mixed, f"{name}.proj_out", channels, channels, kernel=1))

    def model(self):
        settings = self.config["ddconfig"]
        width, levels = settings["ch"], settings["ch_mult"]
        x = self.conv("image", "encoder.conv_in", 3, width)
        channels = width
        for level, factor in enumerate(levels):
            for block in range(settings["num_res_blocks"]):
                x = self.residual(x, f"encoder.down.{level}.block.{block}", channels, width * factor)
                channels = width * factor
                if settings["resolution"] >> level in settings["attn_resolutions"]:
                    x = self.attention(x, f"encoder.down.{level}.attn.{block}", channels)
            if level + 1 < len(levels):
                name = f"encoder.down.{level}.downsample.conv"
                x = self.conv(x, name, channels, channels, stride=2, pads=(0, 0, 1, 1))
        x = self.residual(x, "encoder.mid.block_1", channels, channels)
        x = self.attention(x, "encoder.mid.attn_1", channels)
        x = self.residual(x, "encoder.mid.block_2", channels, channels)
        x = self.swish(self.norm(x, "encoder.norm_out", channels))
        x = self.conv(x, "encoder.conv_out", channels, settings["z_channels"])
        x = self.conv(x, "quant_conv", settings["z_channels"], self.config["embed_dim"], kernel=1)
        self.nearest(x)
        return self.finish()

    def nearest(self, x):
        """The row of the codebook at the smallest squared distance."""
        count, dimension = self.config["n_embed"], self.config["embed_dim"]
        self.multiplications += self.side**2 * count * dimension
        codes = self.tensors("quantize.embedding.weight", (count, dimension))
        places = self.node("Transpose", self.node("Reshape", x, self.constant(numpy.array([dimension, -1]))), perm=[1, 0])
        product = self.node("MatMul", places, self.constant(numpy.ascontiguousarray(-2 * codes.T)))
        distance = self.node("Add", product, self.constant((codes.astype(numpy.float64) ** 2).sum(1).astype(numpy.float32)))
        self.nodes.append(helper.make_node("ArgMin", [distance], ["ids"], axis=1, keepdims=0))

    def finish(self):
        side = self.config["ddconfig"]["resolution"]
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, side, side])
        ids = helper.make_tensor_value_info("ids", TensorProto.INT64, [None])
        constants = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, "encoder", [image], [ids], constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.checker.check_model(model)
        return model.SerializeToString()


def write_full(folder):
    """Random weights of the full model, such that activations keep their size from layer to layer."""
    random = numpy.random.default_rng(20_240_229)
    made = {}

    def make(name, shape):
        if len(shape) == 4:
            value = random.standard_normal(shape) / numpy.prod(shape[1:]) ** 0.5
        elif "norm" in name and name.endswith("weight"):
            value = 1 + 0.2 * random.standard_normal(shape)
        else:
            value = 0.2 * random.standard_normal(shape) if len(shape) == 1 else random.standard_normal(shape)
        made[name] = value.astype(numpy.float32)
        return made[name]

    Graph(FULL, make).model()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(FULL))
    save_file(made, folder / "model.safetensors")


def make_images(count, side):
    """Smooth colours with noise on them, from a seed: `[image, row, column, channel]` of bytes."""
    random = numpy.random.default_rng(7)
    coarse = random.uniform(0, 255, (count, 9, 9, 3))
    at = numpy.linspace(0, 8, side)
    low, part = numpy.minimum(at.astype(int), 7), at - numpy.minimum(at.astype(int), 7)
    rows = coarse[:, low] * (1 - part)[:, None, None] + coarse[:, low + 1] * part[:, None, None]
    part = part[:, None]
    smooth = rows[:, :, low] * (1 - part) + rows[:, :, low + 1] * part
    return numpy.clip(smooth + random.normal(0, 20, smooth.shape), 0, 255).astype(numpy.uint8)


class Runtime:
    """ONNX Runtime on one thread."""

    def __init__(self, folder, config):
        tensors = load_file(folder / "model.safetensors")
        graph = Graph(config, lambda name, _: tensors[name].astype(numpy.float32))
        model = graph.model()
        self.gflop = 2 * graph.multiplications / 1e9
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def encode(self, images):
        """Ids, and CPU seconds per image, with those for making floating-point numbers of the pixels."""
        started = time.process_time()
        ids = []
        for image in images:
            levels = image.astype(numpy.float32).transpose(2, 0, 1)[None] / 127.5 - 1
            ids.append(self.session.run(["ids"], {"image": levels})[0])
        return numpy.stack(ids), (time.process_time() - started) / len(images)


def run_bench(bench, folder, pixels, count, ids, gflop):
    """The ids that `bench_vq` writes, and its CPU seconds per image."""
    command = [bench, folder, "--pixels", pixels, "--count", str(count), "--ids", ids]
    command += ["--threads", "2", "--gflop", str(gflop)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds = [float(line.split()[0]) for line in said.splitlines() if line.endswith("CPU seconds per image")]
    return numpy.fromfile(ids, numpy.uint32).reshape(count, -1), seconds[0], said


def compare(name, folder, arguments):
    config = json.loads((folder / "config.json").read_text())
    images = make_images(arguments.images, config["ddconfig"]["resolution"])
    pixels, ids_file = arguments.into / "pixels", arguments.into / "ids"
    images.tofile(pixels)
    runtime = Runtime(folder, config)
    runtime.encode(images[:1])
    theirs, ours = [], []
    for _ in range(arguments.rounds):
        their_ids, seconds = runtime.encode(images)
        theirs.append(seconds)
        our_ids, seconds, said = run_bench(arguments.bench, folder, pixels, len(images), ids_file, runtime.gflop)
        ours.append(seconds)
    equal = int((their_ids == our_ids).sum())
    ratio = statistics.median(mine / other for mine, other in zip(ours, theirs))
    print(f"{name}: {equal} of {their_ids.size} ids equal, {len(numpy.unique(our_ids))} different ones")
    for who, seconds in (("ONNX Runtime", theirs), ("pageloom", ours)):
        median = statistics.median(seconds)
        print(f"  {who}: {median:.3f} CPU seconds per image (from {min(seconds):.3f} to {max(seconds):.3f})")
    print(f"  pageloom / ONNX Runtime {onnxruntime.__version__}: {ratio:.3f} (median of {arguments.rounds} rounds)")
    print("  " + said.replace("\n", "\n  ").rstrip())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="a model folder, or `full`")
    parser.add_argument("--bench", required=True, type=Path, help="the program `bench_vq`")
    parser.add_argument("--into", required=True, type=Path, help="a folder for what is made")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    arguments.into.mkdir(parents=True, exist_ok=True)
    for model in arguments.models:
        folder = Path(model)
        if model == "full":
            folder = arguments.into / "full"
            if not (folder / "model.safetensors").exists():
                write_full(folder)
        compare(model, folder, arguments)


if __name__ == "__main__":
    main()
