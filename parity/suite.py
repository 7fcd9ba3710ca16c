"""The suite that mutants are tried with: its test files, and with which of them it begins for which source."""

from collections.abc import Iterator

from reference import RULES

Nearest = tuple[tuple[str, ...], str]  # test files and what is chosen of them

SUITE = (  # in the order of the rungs
    "test_hyperparameters.py", "test_corners.py", "test_rules.py", "test_dialects.py", "test_refusals.py",
    "test_far.py", "test_parts.py", "test_schedules.py", "test_clipping.py", "test_averages.py", "test_around.py",
    "test_limits.py", "test_separation.py", "test_models.py", "test_adapters.py", "test_hostile.py",
    "test_properties.py", "test_namespace.py", "test_pytorch_optimizer.py", "test_groups.py", "test_hooks.py",
    "test_layouts.py", "test_compiled.py", "test_fallbacks.py", "test_whole.py", "test_guarded.py",
    "test_tensorflow_optimizer.py", "test_keywords.py", "test_natives.py", "test_witnesses.py", "test_translation.py",
    "test_false_alarms.py", "test_same_steps.py", "test_compare.py", "test_compare_training.py", "test_recorder.py",
    "test_identify.py", "test_identify_strangers.py", "test_training.py",
)  # fmt: skip

RUNG_1 = ("test_hyperparameters.py", "test_rules.py", "test_corners.py")  # no framework is imported: seconds
PARTS = ("test_clipping.py", "test_averages.py", "test_around.py", "test_schedules.py")
SLOW = "matters"  # in their names: what of rung 1 is not tried at first


def first_rung(chosen: str) -> tuple[Nearest, ...]:
    """What of rung 1 the words choose, the quickest tests first."""
    quick = f"({chosen} or corners or every_step) and not ({SLOW})"
    own = (RUNG_1, quick), (RUNG_1, f"({chosen}) and matters")
    return *own, (RUNG_1, f"not ({SLOW})"), (("test_far.py",), "")


FURTHER: dict[str, tuple[Nearest, ...]] = {  # what the first rung does not ask of a rule
    "SGD": ((("test_dialects.py", "test_refusals.py"), ""),),
    "FTRL": ((("test_adapters.py",), "torch and eager and Ftrl"),),
}

NEAREST: dict[str, tuple[Nearest, ...]] = {  # where the suite begins for a file: test files and selection, in turn
    "reference/rule.py": (
        (("test_dialects.py", "test_refusals.py"), "label or plain or range or mistake or built or array"),
        *first_rung("SGD or Adafactor or LAMB or bring or flag"),
    ),
    "reference/scalars.py": (
        *first_rung("bias or power or RAdam or ASGD or ScheduleFree"),
        (("test_adapters.py",), "host_and_in_a_graph"),
    ),
    "reference/sums.py": (
        (("test_limits.py",), "sum or norm"),
        *first_rung("Adafactor or LAMB"),
        (("test_adapters.py",), "torch and eager and Lamb"),
    ),
    "reference/matrices.py": first_rung("Muon"),
    **{
        f"reference/{rule.lower()}.py": (*first_rung(f":{rule} or [{rule} or _{rule}_"), *FURTHER.get(rule, ()))
        for rule in (rule.__name__ for rule in RULES)
    },
    "reference/around/schedules.py": ((("test_parts.py", "test_schedules.py"), ""),),
    "reference/around/clipping.py": ((("test_parts.py", "test_clipping.py"), ""),),
    "reference/around/average.py": ((("test_parts.py",), ""), (("test_averages.py",), "average")),
    "reference/around/accumulation.py": (
        (("test_parts.py",), ""),
        (("test_averages.py", "test_around.py"), "accumulat or partner"),
    ),
    "reference/around/": ((("test_parts.py",), ""), (PARTS, "")),
    "reference/dialects/around/": ((PARTS, ""),),
    "reference/dialects/refusal.py": ((("test_translation.py",), ""),),
    "reference/dialects/relation.py": ((("test_translation.py",), ""),),
    **{
        f"reference/dialects/{framework}.py": (
            (("test_dialects.py", "test_refusals.py"), ""),
            (("test_natives.py",), f"{framework}: and float64 and (eager or for-loop)"),
            (("test_natives.py",), ""),
        )
        for framework in ("keras", "pytorch")
    },
    **{
        f"reference/dialects/{library}.py": (
            (("test_dialects.py", "test_refusals.py"), ""),
            (("test_witnesses.py",), f"{library} or argument or defaults"),
            (("test_translation.py",), ""),
        )
        for library in ("tf_keras", "tensorflow1", "optax", "onnx")
    },
    "reference/dialects/": (
        (("test_dialects.py", "test_refusals.py"), ""),
        (("test_translation.py",), ""),
        (("test_natives.py",), ""),
    ),
    "frameworks/numpy/around.py": ((("test_around.py",), "ends_alike"), (PARTS, "")),
    "frameworks/pytorch/around.py": ((PARTS, ""),),
    "frameworks/tensorflow/around.py": ((PARTS, ""),),
    "frameworks/numpy/optimizer.py": (
        *first_rung("SGD"),
        (("test_adapters.py",), "float16 and SGD and eager"),
        (("test_hostile.py",), "torch and eager"),
    ),
    "frameworks/numpy/namespace.py": first_rung("SGD or RMSprop or FTRL or LAMB or Muon or Rprop or Lion"),
    "frameworks/experiment.py": ((("test_models.py",), "draws"),),
    "frameworks/run.py": ((("test_models.py",), "accuracy"),),
    "frameworks/pytorch/train.py": ((("test_models.py",), "plain"),),
    "frameworks/pytorch/hooks.py": ((("test_hooks.py",), ""),),
    "frameworks/pytorch/whole.py": (
        (("test_whole.py",), ""),
        (("test_models.py",), "stretches"),
        (("test_models.py",), ""),
    ),
    "frameworks/tensorflow/train.py": ((("test_models.py",), "stretches"),),
    "frameworks/tensorflow/guarded.py": (
        (("test_guarded.py",), ""),
        (("test_tensorflow_optimizer.py",), "under_xla"),
        (("test_tensorflow_optimizer.py",), ""),
        (("test_adapters.py",), "tensorflow"),
    ),
    "frameworks/numpy/model.py": ((("test_models.py",), ""),),
    "frameworks/pytorch/model.py": ((("test_models.py",), ""),),
    "frameworks/tensorflow/model.py": ((("test_models.py",), ""),),
    "frameworks/pytorch/compiled.py": (
        (("test_layouts.py",), ""),
        (("test_fallbacks.py", "test_groups.py"), "fault or kinds or compiled_steps"),
        (("test_compiled.py",), "numbers or share or autograd or data or groups or memory"),
        (("test_compiled.py",), ""),
        (("test_fallbacks.py", "test_groups.py"), ""),
        (("test_whole.py", "test_models.py"), "untested or stretches and pytorch"),
    ),
    "frameworks/pytorch/namespace.py": (
        (("test_namespace.py",), ""),
        (("test_adapters.py", "test_hostile.py"), "torch and eager"),
        (("test_compiled.py",), ""),
    ),
    "frameworks/pytorch/": (
        (("test_groups.py",), ""),
        (
            ("test_pytorch_optimizer.py", "test_adapters.py"),
            "pytorch_optimizer and not compiled and not trace or pieces",
        ),
        (("test_pytorch_optimizer.py",), ""),
        (("test_adapters.py", "test_hostile.py"), "torch and eager"),
        (("test_clipping.py", "test_fallbacks.py"), ""),
        (("test_compiled.py",), ""),
    ),
    "frameworks/tensorflow/namespace.py": (
        (("test_tensorflow_optimizer.py",), "not fitted and not saving and not without"),
        (("test_adapters.py",), "host_and_in_a_graph"),
        (("test_schedules.py",), ""),
        (("test_adapters.py", "test_hostile.py"), "tensorflow and (eager or graph)"),
    ),
    "frameworks/tensorflow/": (
        (("test_keywords.py",), ""),
        (("test_tensorflow_optimizer.py",), "not fitted and not saving and not without"),
        (("test_tensorflow_optimizer.py",), ""),
        (("test_adapters.py", "test_hostile.py"), "tensorflow and (eager or graph)"),
    ),
}


def begin(file: str) -> tuple[Nearest, ...]:
    """Test files and selection with which the suite begins for a mutant of ``file``, in turn."""
    return next(nearest for prefix, nearest in NEAREST.items() if file.startswith(prefix))


def nearest(file: str) -> list[list[str]]:
    """The tests that come first, as pytest calls."""
    return [
        [*(f"parity/{name}" for name in names), *(["-k", chosen] if chosen else [])] for names, chosen in begin(file)
    ]


def commands(file: str) -> Iterator[list[str]]:
    """The suite as pytest calls, the nearest first; together they are the whole of it."""
    yield from nearest(file)
    begun = [name for names, _ in begin(file) for name in names]
    done = {name for names, chosen in begin(file) if not chosen for name in names}
    far = RUNG_1 if file.startswith("frameworks/") else ()
    rest = sorted(set(SUITE) - done, key=lambda name: (name in far, name not in begun, SUITE.index(name)))
    yield from ([f"parity/{name}"] for name in rest)
