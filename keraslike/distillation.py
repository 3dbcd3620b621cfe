"""Distillation: a student model is trained on the outputs of a teacher, and on targets."""

from __future__ import annotations

from typing import Any

from keraslike import losses, metrics, ops, tree
from keraslike.core import arguments, registry, serialization
from keraslike.core.configured import Configured
from keraslike.models import Model

__all__ = ["DistillationLoss", "Distiller", "FeatureDistillation", "LogitsDistillation"]


class DistillationLoss(Configured):
    """Base of distillation losses; a subclass defines `compute_loss`.

    >>> class Distance(DistillationLoss):
    ...     def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
    ...         return ops.mean(ops.abs(teacher_outputs - student_outputs))
    >>> float(Distance().compute_loss(ops.ones(2), ops.zeros(2)))
    1.0
    """

    # The layers whose outputs are compared; if `None`, the outputs of the models are.
    teacher_layer_name: str | None = None
    student_layer_name: str | None = None

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Any:
        """A scalar that measures the difference between student and teacher."""
        raise NotImplementedError(f"{type(self).__name__} has no compute_loss() method.")

    def validate_outputs(self, teacher_outputs: Any, student_outputs: Any) -> None:
        """Raises ValueError for outputs that cannot be compared."""
        tree.assert_same_structure(teacher_outputs, student_outputs)

    def validate_model_compatibility(self, teacher: Any, student: Any) -> None:
        """Raises ValueError for models that the loss does not support."""


class _PerOutput(DistillationLoss):
    """A loss for each output, or `None` for outputs that are ignored."""

    loss: Any

    def _take(self, loss: Any) -> None:
        self.loss = tree.map_structure(
            lambda each: None if each is None else losses.get(each), loss
        )
        if all(each is None for each in tree.flatten(self.loss)):
            raise ValueError(
                f"The `loss` argument in `{type(self).__name__}` must contain at least one "
                f"non-`None` value. Received: loss={loss!r}"
            )

    def validate_outputs(self, teacher_outputs: Any, student_outputs: Any) -> None:
        super().validate_outputs(teacher_outputs, student_outputs)
        try:
            tree.assert_same_structure(self.loss, teacher_outputs)
        except ValueError as e:
            raise ValueError(f"The structure of `loss` is not that of the outputs: {e}") from e

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Any:
        """The sum of the losses of all outputs."""
        found = tree.map_structure(self._of_one, self.loss, teacher_outputs, student_outputs)
        return sum(tree.flatten(found))

    def _of_one(self, loss: Any, teacher: Any, student: Any) -> Any:
        return 0.0 if loss is None else ops.mean(loss(teacher, student))


class FeatureDistillation(_PerOutput):
    """The distance between the outputs of a layer of the student and a layer of the teacher.

    Args:
        loss: a name, a Loss or a function, or a structure of them like that of the outputs, with
            `None` for outputs to ignore.
        teacher_layer_name, student_layer_name: the layers; by default the models' outputs are used.

    Raises ValueError if all losses are `None`.

    >>> FeatureDistillation("mae").compute_loss(ops.ones((2, 3)), ops.zeros((2, 3))).item()
    1.0
    """

    def __init__(
        self,
        loss: Any = "mse",
        teacher_layer_name: str | None = None,
        student_layer_name: str | None = None,
    ):
        self.teacher_layer_name = teacher_layer_name
        self.student_layer_name = student_layer_name
        self._take(loss)

    def validate_model_compatibility(self, teacher: Any, student: Any) -> None:
        names = {"teacher": self.teacher_layer_name, "student": self.student_layer_name}
        for (role, name), model in zip(names.items(), (teacher, student)):
            if any(names.values()) and _symbolic(model, "inputs") is None:
                raise ValueError(
                    "FeatureDistillation with specific layer names requires Functional or "
                    f"Sequential models that are built. The {role} is none: {model.name}"
                )
            if name is not None:
                try:
                    model.get_layer(name=name)
                except ValueError as e:
                    raise ValueError(f"In {role} model: {e}") from e


class LogitsDistillation(_PerOutput):
    """The distance between the logits of student and teacher, both divided by a temperature.

    The Kullback-Leibler divergence is computed on their softmax and multiplied by the squared
    temperature; other losses receive the logits.

    Args:
        temperature: higher values give softer distributions.
        loss: see `FeatureDistillation`.

    Raises ValueError for a temperature that is not positive, and where all losses are `None`.

    >>> loss = LogitsDistillation(temperature=2.0)
    >>> loss.compute_loss(ops.zeros((1, 2)), ops.zeros((1, 2))).item()
    0.0
    """

    def __init__(self, temperature: Any = 3.0, loss: Any = "kl_divergence"):
        self.temperature = temperature
        self._take(loss)
        if not isinstance(temperature, (int, float)):
            raise ValueError(f"temperature must be a number, got {type(temperature)}")
        if temperature <= 0:
            raise ValueError(f"temperature must be positive. Received: {temperature}")

    def _of_one(self, loss: Any, teacher: Any, student: Any) -> Any:
        teacher, student = teacher / self.temperature, student / self.temperature
        if loss is losses.kl_divergence or isinstance(loss, losses.KLDivergence):
            teacher, student = ops.softmax(teacher), ops.softmax(student)
            return super()._of_one(loss, teacher, student) * self.temperature**2
        return super()._of_one(loss, teacher, student)


def _symbolic(model: Any, name: str) -> Any:
    try:
        return getattr(model, name, None)
    except ValueError:  # The layer is not built.
        return None


class Distiller(Model):
    """A student that is trained by targets and by a teacher, which does not change.

    The loss is `student_loss_weight` times the compiled loss plus `1 - student_loss_weight` times
    the weighted sum of the distillation losses.

    Args:
        teacher: a trained model, which is frozen.
        student: the model to train, with the inputs and outputs of the teacher.
        distillation_losses: a `DistillationLoss`, or a list of them.
        distillation_loss_weights: a factor for each loss; 1 by default.
        student_loss_weight: between 0 and 1.

    Raises ValueError for models whose inputs or outputs differ in shape or dtype, and for other
    invalid arguments.

    >>> import keraslike
    >>> teacher = keraslike.Sequential([keraslike.Input((3,)), keraslike.layers.Dense(2)])
    >>> student = keraslike.models.clone_model(teacher)
    >>> distiller = Distiller(teacher, student, keraslike.distillation.LogitsDistillation())
    >>> distiller.compile("sgd", "mse")
    >>> history = distiller.fit(ops.ones((4, 3)), ops.ones((4, 2)), verbose=0).history
    >>> sorted(history)
    ['distillation_loss', 'loss', 'student_loss', 'total_loss']
    """

    def __init__(
        self,
        teacher: Model,
        student: Model,
        distillation_losses: Any,
        distillation_loss_weights: Any = None,
        student_loss_weight: Any = 0.5,
        name: str | None = "distiller",
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        for role, model in (("Teacher", teacher), ("Student", student)):
            if not isinstance(model, Model):
                raise ValueError(f"{role} must be a Model, got {type(model)}")
        for what in ("input", "output"):
            _compare(what, *(_symbolic(model, f"{what}s") for model in (teacher, student)))
        if not isinstance(student_loss_weight, (int, float)) or not 0 <= student_loss_weight <= 1:
            raise ValueError(
                "student_loss_weight must be a number between 0.0 and 1.0, "
                f"got {student_loss_weight!r}"
            )
        if not isinstance(distillation_losses, (list, tuple)):
            distillation_losses, distillation_loss_weights = [distillation_losses], [1.0]
        if not all(hasattr(loss, "compute_loss") for loss in distillation_losses):
            raise ValueError(
                "distillation_losses must be a DistillationLoss or a list of them. "
                f"Received: {distillation_losses}"
            )
        if distillation_loss_weights is None:
            distillation_loss_weights = [1.0] * len(distillation_losses)
        if len(distillation_loss_weights) != len(distillation_losses):
            raise ValueError(
                f"Number of distillation_loss_weights ({len(distillation_loss_weights)}) must "
                f"match number of distillation_losses ({len(distillation_losses)})"
            )
        for loss in distillation_losses:
            loss.validate_model_compatibility(teacher, student)
        self.teacher, self.student = teacher, student
        self.distillation_losses = distillation_losses
        self.distillation_loss_weights = distillation_loss_weights
        self.student_loss_weight = student_loss_weight
        self._teacher_feature_extractor = _extractor(teacher, distillation_losses, "teacher")
        self._student_feature_extractor = _extractor(student, distillation_losses, "student")
        teacher.trainable = False
        self.student_loss_tracker = metrics.Mean(name="student_loss")
        self.distillation_loss_tracker = metrics.Mean(name="distillation_loss")
        self.total_loss_tracker = metrics.Mean(name="total_loss")

    def compile(
        self, optimizer: Any = "adam", loss: Any = None, metrics: Any = None, **kwargs: Any
    ) -> None:
        """Like `Model.compile`; the loss, which is that of the student, is required."""
        if loss is None:
            raise ValueError("'loss' cannot be `None`.")
        if metrics is not None and not isinstance(metrics, (list, tuple)):
            raise ValueError(f"metrics must be a list or tuple, got {type(metrics)}")
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        if config.get("loss") is None:  # Keras does not save the student's loss.
            arguments.warn_user(f"'{self.name}' was saved without its loss: call compile().")
        else:
            super().compile_from_config(config)

    def call(self, inputs: Any, training: bool | None = None, **kwargs: Any) -> Any:
        return self.student(inputs, training=training, **kwargs)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The weighted sum of the student's loss and the distillation losses."""
        if y_pred is None:
            y_pred = self(x, training=training)
        own: Any = 0.0
        if self.student_loss_weight > 0 and y is not None:
            own = self._compile_loss(y, y_pred, sample_weight)  # type: ignore[misc]
        distilled: Any = 0.0
        if self.student_loss_weight < 1:
            teacher, student = self._teacher_feature_extractor, self._student_feature_extractor
            if teacher is None:
                of_teacher = {None: self.teacher(x, training=False)}
            else:
                of_teacher = _named(teacher(x, training=False))
            of_student = {} if student is None else _named(student(x, training=training))
            of_student[None] = y_pred
            for loss, weight in zip(self.distillation_losses, self.distillation_loss_weights):
                pair = (
                    of_teacher[getattr(loss, "teacher_layer_name", None)],
                    of_student[getattr(loss, "student_layer_name", None)],
                )
                loss.validate_outputs(*pair)
                value = loss.compute_loss(*pair)
                if ops.shape(value):
                    raise ValueError(
                        f"Distillation loss {type(loss).__name__} returned a non-scalar loss with "
                        f"shape {ops.shape(value)}. The compute_loss method must return a scalar."
                    )
                distilled = distilled + weight * value
        total = self.student_loss_weight * own + (1 - self.student_loss_weight) * distilled
        self.student_loss_tracker.update_state(own)
        self.distillation_loss_tracker.update_state(distilled)
        self.total_loss_tracker.update_state(total)
        return ops.convert_to_tensor(total)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in ("teacher", "student", "distillation_losses"):
            config[name] = serialization.serialize(getattr(self, name))
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        with registry.custom_object_scope(custom_objects or {}):
            parts = ("teacher", "student", "distillation_losses")
            return cls(**{**config, **{k: serialization.deserialize(config[k]) for k in parts}})


def _compare(what: str, of_teacher: Any, of_student: Any) -> None:
    if of_teacher is None or of_student is None:
        return

    def one(teacher: Any, student: Any) -> None:
        sizes = zip(teacher.shape, student.shape)
        fits = all(None in pair or pair[0] == pair[1] for pair in sizes)
        if len(teacher.shape) != len(student.shape) or not fits:
            raise ValueError(
                f"Teacher and student {what} shapes are incompatible. "
                f"Teacher: {teacher.shape}, Student: {student.shape}."
            )
        if teacher.dtype != student.dtype:
            raise ValueError(
                f"Teacher and student {what} dtypes must match. "
                f"Teacher: {teacher.dtype}, Student: {student.dtype}."
            )

    tree.map_structure(one, of_teacher, of_student)


_FINAL = "final_output"


def _extractor(model: Model, distillation_losses: Any, role: str) -> Model | None:
    """A model with the outputs of the layers that losses name, and its own outputs; `None` if no
    loss names one."""
    names = [getattr(loss, f"{role}_layer_name", None) for loss in distillation_losses]
    layers = {name: model.get_layer(name=name).output for name in names if name}
    if not layers:
        return None
    name = f"{model.name}_multi_feature_extractor"
    return Model(model.inputs, {_FINAL: model._outputs_struct, **layers}, name=name)


def _named(features: dict[str, Any]) -> dict[str | None, Any]:
    return {None if name == _FINAL else name: value for name, value in features.items()}


_PUBLIC = {name: globals()[name] for name in __all__}
registry.publish("keras.distillation", _PUBLIC)


def __dir__() -> list[str]:
    return list(__all__)
