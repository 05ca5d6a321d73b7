"""nbgrader's configuration: `nbgrader` commands work from this folder."""

from importlib.util import find_spec

from nbverdict.configuration import configure

c = get_config()  # noqa: F821  (put here by the configuration loader)
configure(c)

c.CourseDirectory.course_id = "multiview-vae-lab"
# What the notebooks import besides installed packages (of `autograder`, the checks stay out of sight), and the embedded
# data, drawn once for all kernels.
c.ConfinedProvisioner.readable = [
    folder for name in ("autograder", "lab_utils") for folder in find_spec(name).submodule_search_locations
]
c.ConfinedProvisioner.folders = {"LAB_DATA_DIR": "lab_utils.shared.drawn_data"}
# What the notebooks import is imported once, by the process that kernels are forked from.
c.ConfinedProvisioner.preload += [
    *("torch", "numpy", "pandas", "matplotlib.pyplot", "matplotlib.backends.backend_agg"),
    "torch.fx.experimental.symbolic_shapes",  # PyTorch itself imports it when it takes a gradient for the first time
    *(f"lab_utils.{name}" for name in ("batches", "definitions", "figures", "judges", "metrics", "training")),
]
# Take the comment sign off these lines to execute also what follows the last graded cell of a notebook, though nothing
# there is graded; its optimizers and its t-SNE would import these modules in each kernel, for seconds, and each kernel
# would train judges of its own.
# c.ExecuteOutside.everything = True
# c.ConfinedProvisioner.preload += ["torch._dynamo", "sklearn.linear_model", "sklearn.manifold"]
# c.ConfinedProvisioner.folders = {"LAB_DATA_DIR": "lab_utils.shared.drawn_data_and_judges"}
# True: no submission is run unless every layer that keeps students' code in is active (see `autograder doctor`).
c.ConfinedProvisioner.require = False
