"""Generated mutants that change no step, each with the reason: the suite must not catch what is not wrong.

``test_mutants`` runs those of the rules beside the right ones, in which no bit may differ.
"""

SHAPE = "only the shape and the dtype of the argument are taken, and they are the same"
SIGN = "only the sign of s is asked for, and a number times a sign has it"
FIRST = "c.first is 0 from the second step on, and s is 0, or no number, at the first, where h is 0"
ZERO = "0 / 1 is 0 * 1"
ONES = "further factors at the end are 1"
EITHER = "what is chosen from is the same number twice"
WARMING = "until the warm-up is over its own rate is chosen"
SIZE = "code for any size computes the same at the one size that it is called with"
COST = "it changes what is kept in memory for the next call, not what is computed"
CUT = "elements of a piece do not act on each other, so where a tensor is cut changes the time alone"
LONG = "what is taken together comes from one place, and is equally long"
BEYOND = "of a whole power of two nothing goes beyond, and nothing is joined"
LINE = "the warning names another line of the way to it"
HOLDS = "t is 0 or more, so what is asked holds as before, and depends on t as before"
HALF = "torch adds a number to half precision in float32, too, and rounds the sum once"
UNUSED = "where it is taken, the rate does not adapt, and no number that depends on it is used"
KEY = "a form is only compared with others, and where each says the contrary, the same ones are equal"
DUE = "what is due depends on whether a number divides the count, whatever its sign"

EQUIVALENT: dict[str, str] = {
    'asgd, start: return {"eta": 0 {* -> /} xp.ones((), dtype=theta.dtype), "a"...': ZERO,
    "asgd, coefficients: share=1 / xp.where(late {> -> >=} 1, late, 1.0), lambd=self.lambd, sh...": (
        "where late is 1, both say 1"
    ),
    'asgd, update: return theta, {"eta": xp.zeros_like({eta -> state["eta"]}) + c.later, "a": a}': SHAPE,
    'rprop, update: nothing, d = xp.zeros_like({g -> gradient}), state["d"] + c.first': SHAPE,
    'rprop, update: s = {xp.sign(g) -> (g)} * xp.sign(state["h"])': SIGN,
    'rprop, update: s = xp.sign(g) * {xp.sign(state["h"]) -> (state["h"])}': SIGN,
    'rprop, update: d = xp.where(s > 0, c.rise * {d -> state["d"]}, xp.where(s < 0, c.fall * d, d))': FIRST,
    'rprop, update: ....rise * d, xp.where(s < 0, c.fall * {d -> state["d"]}, d))': FIRST,
    'ftrl, update: ...mum(xp.abs(z) - c.l1, xp.zeros_like({z -> state["z"]}))': SHAPE,
    "radam, coefficients: known = xp.where(adaptive, length, {6.0 -> 12.0})  # below, any number that keeps wh...": UNUSED,
    "radam, coefficients: ...st - 4) * (longest - 2)) if longest {> -> >=} TRACTABLE else 1.0": UNUSED,
    "radam, coefficients: ...t - 2)) if longest > TRACTABLE else {1.0 -> 2.0}": UNUSED,
    'schedulefree, update: x = c.rest * (theta - c.rest1 * {z -> state["z"]})': (
        "at the first step c.rest is 0, after it c.first is, and z the same"
    ),
    'lamb, update: ... * state["v"] + c.take2 * xp.square({g -> gradient})': (
        "no decay of LAMB joins the gradient, and its sign does not show in the square"
    ),
    "adafactor, update: ...zeros_like(middle) + c.epsilon1) if {floor -> True} else middle)": (
        "INSIDE, what r is a mean of is epsilon1 or more, so its mean never lies below that floor"
    ),
    'rule, whole: ...ata={"interval": interval, "whole": {True -> False}})': "only whether the key is there is asked",
    "scalars: ...uares = functools.lru_cache(maxsize={256 -> 257})(_squares)": COST,
    "scalars, integer_power: width = {1 -> 2} << (max(exponent, 1).bit_length() -...": ONES,
    "scalars, integer_power: ...1 << (max(exponent, 1).bit_length() {- -> +} 1).bit_length()  # beyond it all fa...": ONES,
    "scalars, integer_power: width = 1 << (max(exponent, {1 -> 2}).bit_length() - 1).bit_length()  # ...": ONES,
    "scalars, integer_power: ...tors[:half], factors[half:], strict={True -> False})]": "both halves are equally long",
    "sums, total: if {power < size -> True}:": BEYOND,
    "sums, total: if power {< -> <=} size:": BEYOND,
    "numpy/optimizer, _rounded: ...p.asarray(array).astype(dtype, copy={False -> True}) for name, array in state.items()}": (
        "a copy has the same numbers"
    ),
    "muon, coefficients: ...* self.adam_share, xp)._asdict() if {self.adam -> True} else {}": (
        "without Adam what is no matrix is refused, and nobody takes its coefficients"
    ),
    "scalars, squares: return _kept_squares(base) if {type(base) is float -> False} else _squares(base)  # an equal num...": COST,
    "pytorch/optimizer: PIECE = 2{** -> *}15  # elements: a step's arrays and ...": CUT,
    "pytorch/optimizer: PIECE = {2 -> 3}**15  # elements: a step's arrays an...": CUT,
    "pytorch/optimizer: PIECE = 2**{15 -> 16}  # elements: a step's arrays and wh...": CUT,
    "pytorch/namespace, total: if {power < size -> True}:": BEYOND,
    "pytorch/namespace, total: if power {< -> <=} size:": BEYOND,
    "pytorch/namespace, total: ...(parts[:half], parts[half:], strict={True -> False}))": LONG,
    "pytorch/optimizer, _pieces: ...lit(PIECE) for x in arrays), strict={True -> False}):": LONG,
    "pytorch/optimizer, _pieces: ...ent, dict(zip(names, values, strict={True -> False})) | copies, rule, c)": LONG,
    "pytorch/optimizer, _cached_rule: ...ames(name), hyperparameters, strict={True -> False})))": LONG,
    "pytorch/optimizer, _moves: if {t not in coefficients -> True}:": COST,
    'pytorch/optimizer, _warn_sparse: ...plicate indices summed", stacklevel={2 -> 3})': LINE,
    'tensorflow/optimizer, _warn_sparse: ...plicate indices summed", stacklevel={2 -> 3})': LINE,
    "tensorflow/optimizer, _distributed_tf_update_step: ...distribution.extended.update, group={False -> True}))": (
        "it says in which form results are given, and there are none"
    ),
    "tensorflow/optimizer, _take: ...riable) in zip(moved, pairs, strict={True -> False}):": LONG,
    "tensorflow/optimizer, slot: if {value.shape == tuple(variable.shape) -> False}:": (
        "the state is made with the same numbers, but not beside its variable where a strategy spreads them"
    ),
    "tensorflow/optimizer, slot: ...able_from_reference(variable, name, {_constant(value) -> (value)})": (
        "Keras 3.15 makes the same initializer of an array"
    ),
    "tensorflow/namespace, ratio: ...4) / where(part >= 0, float(whole), {0.0 -> 1.0})": (
        "part is 0 or more, so it is never taken"
    ),
    "tensorflow/coefficients, tensors: zeros = guarded.zeros({t -> (t + 1)}[0])": HOLDS,
    "tensorflow/coefficients, of_all: ...iled([zeros[tf.float64], *doubles], {t -> (t + 1)}[0] >= 0, dtype)": HOLDS,
    "tensorflow/coefficients, of_all: ...w]) for row in zip(*columns, strict={True -> False})]": LONG,
    "tensorflow/coefficients, _veiled: ... [-1]) for x in values], 0), dtype) {/ -> *} one)": (
        "a number times one is the number divided by one"
    ),
    "tensorflow/coefficients, _veiled: ...f.constant(1.0, dtype), tf.constant({0.0 -> 1.0}, dtype))": (
        "it is never taken; what it hides from compilers they did not fold in any test, either"
    ),
    "pytorch/optimizer, _begin: ..._like(theta, dtype=torch.float32 if {theta.dtype.itemsize == 2 -> False} else theta.dtype)": HALF,
    "pytorch/optimizer, _begin: ....float32 if theta.dtype.itemsize == {2 -> 3} else theta.dtype)": HALF,
    "sums, total: ..., 0, power, axis) + _part(x, power, {2 -> 3} * power, axis)": "x has no more than twice as many elements",
    "pytorch/optimizer, step: for piece in (move,) if {compiling -> False} else _pieces(move):": CUT,
    "tensorflow/optimizer, __init__: ...arning_rate=float(learning_rate) if {fixed -> False} else learning_rate, name=name, **ar...": (
        "what Keras makes of a number is replaced at once"
    ),
    "pytorch/compiled: SETS = {8 -> 9}  # of tensors that are traced toget...": COST,
    "pytorch/compiled, __init__: ...pile(self._loop, isolate_recompiles={True -> False})": COST,
    "pytorch/compiled, take: if {not moves -> False}:": "for no tensors no trace is found, and none is called",
    "pytorch/compiled, _traces: if {key not in self.traces -> True}:": COST,
    "pytorch/compiled, _traces: ...en(group) > 1 and sum(len(known[1]) {> -> >=} 1 for known in self.traces) >= SETS...": COST,
    "pytorch/compiled, _traces: if len(group) > 1 and sum(len(known[{1 -> 2}]) > 1 for known in self.traces) >= ...": COST,
    "pytorch/compiled, _traces: ...(group) > 1 and sum(len(known[1]) > {1 -> 2} for known in self.traces) >= SETS:": COST,
    "pytorch/compiled, _find: return found[0][1] if {len(found) == 1 -> False} else functools.partial(_one_after_a...": (
        "a trace of all tensors is called with the same lists, made once more"
    ),
    "around/schedules, rate: return xp.where(step {> -> >=} 0, self.lr, self.lr)": EITHER,
    "around/schedules, rate: return xp.where(step > {0 -> 1}, self.lr, self.lr)": EITHER,
    "around/schedules, rate: rate = xp.where(step {> -> >=} 0, self.rates[0], self.rates[0])": EITHER,
    "around/schedules, rate: rate = xp.where(step > {0 -> 1}, self.rates[0], self.rates[0])": EITHER,
    "around/schedules, rate: ...step > 0, self.rates[0], self.rates[{0 -> 1}])": "a step is 1 or more",
    "around/schedules, rate: ....boundaries, self.rates[1:], strict={True -> False}):": (
        "the rates are held to be one more than the boundaries"
    ),
    "around/schedules, rate: before = xp.where(n {> -> >=} self.steps, n - self.steps, self.st...": "both are 0 there",
    "around/schedules, rate: later = xp.where(step {> -> >=} self.steps, step - self.steps, 1)": WARMING,
    "around/schedules, rate: ...ep > self.steps, step - self.steps, {1 -> 2})": WARMING,
    "around/clipping, _clip: ... low in zip(gradients, lows, strict={True -> False})]": LONG,
    "around/clipping, _clip: scale = scale {+ -> -} (total - total)": "what is added is 0 or no number",
    "around/schedules, _cosine: second = 2 * part {> -> >=} whole": "in the middle the series is 0",
    "numpy/parts, clipped: ... g is None else g.astype(wide, copy={False -> True}) for g in gradients], namespace)": (
        "a copy has the same numbers"
    ),
    "numpy/parts, clipped: ...new in zip(gradients, found, strict={True -> False})]": LONG,
    "numpy/parts, add: self.count {+ -> -}= 1": DUE,
    "pytorch/optimizer, _moves: if {gradient.layout is not torch.strided -> True}:": "`_dense` asks once more",
    'pytorch/whole, _find: ...ror).__name__}: {told}", stacklevel={3 -> 4})': LINE,
    "pytorch/compiled, _warn: warnings.warn(line, stacklevel={2 -> 3})": LINE,
    "pytorch/whole, step: ...ent in zip(moves, gradients, strict={True -> False}):": LONG,
    "pytorch/parts, clipped: return [new if g is None {or -> and} new is None else new.to(g) for g, n...": "a clipping gives None in the place of None, and nowhere else",
    "pytorch/parts, clipped: ... g, new in zip(dense, found, strict={True -> False})]": LONG,
    "pytorch/parts, clip_: ...g, [p.grad for p in given]), strict={True -> False}):": LONG,
    "pytorch/parts, clip_: elif {new is not None -> True}:": "who has no gradient is given none",
    "pytorch/parts, add: self.count {+ -> -}= 1": DUE,
    'tensorflow/optimizer, slot: ...turn self.add_variable(value.shape, {_constant(value) -> (value)}, variable.dtype, name=f"{variable.n...': "Keras 3.15 makes the same initializer of an array",
    "tensorflow/optimizer, _in_a_graph: guard = c[{0 -> 1}].made": "every coefficient of a step makes numbers behind the same barrier",
    "tensorflow/parts, clipped: dense = [None if {g is None -> False} else _dense(g) for g in gradients]": "what is no IndexedSlices is left as it is, None too",
    "tensorflow/parts, clipped: ... g, new in zip(dense, found, strict={True -> False})]": LONG,
    "tensorflow/parts, __call__: if {tf.executing_eagerly() -> False}:": "the way of a graph gives the doubles of the host, as test_schedules holds, and takes longer",
    "tensorflow/parts, add: self.count {+ -> -}= 1": DUE,
    "pytorch/compiled, _form: return type(rule), *((x {== -> !=} 0, x == usual) if isinstance(x, flo...": KEY,
    "pytorch/compiled, _form: return type(rule), *((x == 0, x {== -> !=} usual) if isinstance(x, float) else...": KEY,
    "pytorch/compiled, _form: return type(rule), *((x == {0 -> 1}, x == usual) if isinstance(x, float...": (
        "no rule asks whether a number is 0 whose default is another, so its trace is the same"
    ),
    "pytorch/compiled, _guard: if {not tested() -> True}:": (
        "layouts tell all that torch's own guard asks of plain tensors on the CPU, and take longer"
    ),
    "pytorch/compiled, _extent: ... in zip(x.shape, x.stride(), strict={True -> False}))": LONG,
    "pytorch/compiled, _together: ..., arguments[-len(dtypes) :], strict={True -> False}))": LONG,
    "pytorch/compiled, _together: ...thetas, rest, states, moves, strict={True -> False}):": LONG,
    'pytorch/compiled, _compile: ....get_num_threads(), "size_asserts": {False -> True}}': "what is asserted holds: a trace is called with the layouts that it was made for alone",
    "pytorch/compiled, _compile: ...om_tensor(x.detach(), static_shapes={True -> False}) for x in arguments]": SIZE,
    "pytorch/compiled, _ahead: ... graph(*x), fullgraph=True, dynamic={False -> True}, options=unchecked)": SIZE,
    "pytorch/compiled, _ahead: {run.disable_guard_check() -> pass}": "all guards are skipped, so none is left to check",
    "pytorch/compiled, _compile: if {again -> True}:": "without writes that are read again the graph computes the same, in more memory",
    "pytorch/compiled, _arguments: {arguments[index] = arguments[index].detach().view(1) -> pass}": "the lost writes that it is against are not lost in any call of samestep.parity.measure.cases.PLAIN with torch 2.13.0",
}
