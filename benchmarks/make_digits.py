"""Write `sample_data/digits/embeddings.safetensors` again: the digits, embedded by a network of ours and by its twin.

    python benchmarks/make_digits.py

Both are the trunk of a classifier of the ten digits, from 64 pixels to 64 coordinates, trained on seven pictures in ten
of each digit with the same seed, batches and steps. The Matryoshka one has a head at every width, its plain twin one at
the full width alone; that is all they differ in. To be run after a change of how heads are trained; a test trains them
again and compares.
"""

from __future__ import annotations

import numpy as np
from safetensors.numpy import save_file

from mrl_viz.adaptor.adaptor import one_thread
from mrl_viz.data.digits import TRAINED_DIMS, pixels_and_digits
from mrl_viz.data.samples import MATRYOSHKA, PLAIN, SAMPLES, sample_data_folder
from mrl_viz.heads.classifiers import TrainedHeads, train_heads
from mrl_viz.heads.training import HeadTraining

# Less decay than heads on ready embeddings want: of three settings tried, the one with the best held-out accuracy.
TRAINING = HeadTraining(hidden_dim=256, weight_decay=0.5)
HELD_OUT, SEED = 0.3, 0
FILE = sample_data_folder() / SAMPLES["sample:digits"] / "embeddings.safetensors"


def trained(dims: tuple[int, ...]) -> TrainedHeads:
    """The network and its heads at these widths."""
    pixels, digits = pixels_and_digits()
    with one_thread():
        return train_heads(pixels, digits, dims, kind="mrl", held_out=HELD_OUT, training=TRAINING, seed=SEED)


def main() -> None:
    pixels, _ = pixels_and_digits()
    made, held_out = {}, np.empty(0, dtype=np.int16)
    for name, dims in ((MATRYOSHKA, TRAINED_DIMS), (PLAIN, TRAINED_DIMS[-1:])):
        heads = trained(dims)
        made[name], held_out = heads.embed(pixels).astype(np.float16), heads.held_out.astype(np.int16)
        print(f"{name}: {heads.takeaway()} {heads.accuracy_train[-1]:.1%} of those it was trained on.")
    FILE.parent.mkdir(exist_ok=True)
    save_file({**made, "held_out": held_out}, FILE)
    print(f"{FILE}: {FILE.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
