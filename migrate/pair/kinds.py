"""Which layers and functions of PyTorch and Keras are of one kind.

Two calls can be twins only if they are of one kind. ``detail`` is what further tells apart two
calls of a kind that a pair may exchange by mistake, such as relu and gelu: twins may differ in it.
"""

from typing import NamedTuple


class Kind(NamedTuple):
    """The kind of a call, and its detail."""

    kind: str
    detail: str = ""


LAYOUT = ("flatten", "reshape", "permute", "identity", "pad")  # change no element: seen through
ELEMENTWISE = ("act", "dropout", "bn", "ln", "gn", "rms", "add", "prelu")
CHANNELS = ("conv", "convt", "bn", "gn", "pool", "gap", "prelu", "resize")  # PyTorch: axis 1
UNKNOWN = "unknown"

ACTIVATIONS = {  # detail: names of modules and functions in PyTorch; names of functions in Keras
    "relu": ("ReLU relu relu_", "relu ReLU Relu"),
    "relu6": ("ReLU6 relu6", "relu6 Relu6"),
    "leaky_relu": ("LeakyReLU leaky_relu leaky_relu_", "leaky_relu LeakyReLU LeakyRelu"),
    "gelu": ("GELU gelu", "gelu Gelu"),
    "elu": ("ELU elu elu_", "elu ELU Elu"),
    "selu": ("SELU selu selu_", "selu Selu"),
    "silu": ("SiLU silu", "silu swish Silu"),
    "mish": ("Mish mish", "mish Mish"),
    "softplus": ("Softplus softplus", "softplus Softplus"),
    "softsign": ("Softsign softsign", "softsign Softsign"),
    "tanh": ("Tanh tanh tanh_", "tanh Tanh"),
    "sigmoid": ("Sigmoid sigmoid sigmoid_", "sigmoid Sigmoid"),
    "logsigmoid": ("LogSigmoid logsigmoid", "log_sigmoid LogSigmoid"),
    "hardsigmoid": ("Hardsigmoid hardsigmoid", "hard_sigmoid HardSigmoid"),
    "hardswish": ("Hardswish hardswish", "hard_silu hard_swish HardSilu"),
    "hardtanh": ("Hardtanh hardtanh clamp clip", "hard_tanh HardTanh Clip"),
    "softmax": ("Softmax softmax", "softmax Softmax"),
    "log_softmax": ("LogSoftmax log_softmax", "log_softmax LogSoftmax"),
    "exp": ("exp", "exponential exp Exp"),
}
PYTORCH: dict[str, Kind] = {}
KERAS: dict[str, Kind] = {}
for _detail, (_pytorch, _keras) in ACTIVATIONS.items():
    PYTORCH |= dict.fromkeys(_pytorch.split(), Kind("act", _detail))
    KERAS |= dict.fromkeys(_keras.split(), Kind("act", _detail))
_TABLE = (  # kind, names in PyTorch, names in Keras
    (Kind("linear"), "Linear linear", "Dense EinsumDense"),
    (Kind("conv"), "Conv1d Conv2d Conv3d conv1d conv2d conv3d",
     "Conv1D Conv2D Conv3D DepthwiseConv1D DepthwiseConv2D"),
    (Kind("convt"), "ConvTranspose1d ConvTranspose2d ConvTranspose3d conv_transpose1d "
     "conv_transpose2d conv_transpose3d", "Conv1DTranspose Conv2DTranspose Conv3DTranspose"),
    (Kind("bn"), "BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm batch_norm",
     "BatchNormalization"),
    (Kind("ln"), "LayerNorm layer_norm", "LayerNormalization"),
    (Kind("gn"), "GroupNorm group_norm InstanceNorm1d InstanceNorm2d InstanceNorm3d instance_norm",
     "GroupNormalization"),
    (Kind("rms"), "RMSNorm rms_norm", "RMSNormalization"),
    (Kind("embedding"), "Embedding embedding", "Embedding ReversibleEmbedding"),
    (Kind("mha"), "MultiheadAttention", "MultiHeadAttention"),
    (Kind("prelu"), "PReLU prelu", "PReLU"),
    (Kind("lstm"), "", "LSTM"),
    (Kind("gru"), "", "GRU"),
    (Kind("rnn"), "", "SimpleRNN"),
    (Kind("pool", "max"), "MaxPool1d MaxPool2d MaxPool3d max_pool1d max_pool2d max_pool3d",
     "MaxPooling1D MaxPooling2D MaxPooling3D"),
    (Kind("pool", "average"), "AvgPool1d AvgPool2d AvgPool3d avg_pool1d avg_pool2d avg_pool3d",
     "AveragePooling1D AveragePooling2D AveragePooling3D"),
    (Kind("gap", "average"), "AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d "
     "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d mean",
     "GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D Mean"),
    (Kind("gap", "max"), "AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d amax "
     "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d",
     "GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D Max"),
    (Kind("resize"), "Upsample UpsamplingNearest2d UpsamplingBilinear2d interpolate",
     "UpSampling1D UpSampling2D UpSampling3D Resizing Resize"),
    (Kind("flatten"), "Flatten flatten", "Flatten"),
    (Kind("reshape"), "Unflatten reshape view unflatten squeeze unsqueeze contiguous",
     "Reshape RepeatVector"),
    (Kind("permute"), "permute transpose movedim", "Permute Transpose"),
    (Kind("pad"), "ZeroPad1d ZeroPad2d ZeroPad3d ConstantPad1d ConstantPad2d pad",
     "ZeroPadding1D ZeroPadding2D ZeroPadding3D Pad"),
    (Kind("identity"), "Identity", "InputLayer Identity Cast"),
    (Kind("add"), "add add_ __add__ __radd__ __iadd__", "Add"),
    (Kind("cat"), "cat concat concatenate", "Concatenate"),
    (Kind("dropout"), "Dropout dropout", "Dropout"),
)  # fmt: skip
for _kind, _pytorch, _keras in _TABLE:
    PYTORCH |= dict.fromkeys(_pytorch.split(), _kind)
    KERAS |= dict.fromkeys(_keras.split(), _kind)

RANDOM_PYTORCH = {  # layers whose random numbers are not shared yet
    "AlphaDropout", "FeatureAlphaDropout", "Dropout1d", "Dropout2d", "Dropout3d", "RReLU",
    "alpha_dropout", "feature_alpha_dropout", "dropout1d", "dropout2d", "dropout3d", "rrelu",
    "bernoulli", "rand", "randn", "rand_like", "randn_like", "multinomial",
}  # fmt: skip
RANDOM_KERAS = {
    "GaussianNoise", "GaussianDropout", "AlphaDropout", "SpatialDropout1D", "SpatialDropout2D",
    "SpatialDropout3D", "RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation",
    "RandomCrop", "RandomContrast", "RandomBrightness", "RandomHeight", "RandomWidth",
    "RandAugment", "MixUp", "CutMix",
}  # fmt: skip
