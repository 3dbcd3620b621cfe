"""Where keraslike has what Keras has under `keras.src.…`, its modules for itself, into which
packages reach all the same. `as_keras.py` makes those modules, of these two tables.

A line is a module below `keras.src`, and the names in it by where they are in keraslike. A name
that begins with a dot is in the same place as the one before it; `other=place.name` is known by
another name there, `@place` stands for all public names of a place, and `/place` is in another
package; a module `&place` is that of keraslike itself. A package has the names of
all modules within it, too.
"""

# Of what Keras has in public. Printed by
#     python tests/conformance/names.py --table
PUBLIC = """
activations: activations.deserialize .get .serialize
activations.activations: activations.celu .elu .exponential .gelu .glu .hard_shrink .hard_sigmoid
  .hard_silu .hard_tanh .leaky_relu .linear .log_sigmoid .log_softmax .mish .relu .relu6 .selu
  .sigmoid .silu .soft_shrink .softmax .softplus .softsign .sparse_plus .sparse_sigmoid .sparsemax
  .squareplus .tanh .tanh_shrink .threshold
applications.convnext: applications.ConvNeXtBase .ConvNeXtLarge .ConvNeXtSmall .ConvNeXtTiny
  .ConvNeXtXLarge applications.convnext.decode_predictions .preprocess_input
applications.densenet: applications.DenseNet121 .DenseNet169 .DenseNet201
  applications.densenet.decode_predictions .preprocess_input
applications.efficientnet: applications.EfficientNetB0 .EfficientNetB1 .EfficientNetB2
  .EfficientNetB3 .EfficientNetB4 .EfficientNetB5 .EfficientNetB6 .EfficientNetB7
  applications.efficientnet.decode_predictions .preprocess_input
applications.efficientnet_v2: applications.EfficientNetV2B0 .EfficientNetV2B1 .EfficientNetV2B2
  .EfficientNetV2B3 .EfficientNetV2L .EfficientNetV2M .EfficientNetV2S
  applications.efficientnet_v2.decode_predictions .preprocess_input
applications.imagenet_utils: applications.imagenet_utils.decode_predictions .preprocess_input
applications.inception_resnet_v2: applications.InceptionResNetV2
  applications.inception_resnet_v2.decode_predictions .preprocess_input
applications.inception_v3: applications.InceptionV3 applications.inception_v3.decode_predictions
  .preprocess_input
applications.mobilenet: applications.MobileNet applications.mobilenet.decode_predictions
  .preprocess_input
applications.mobilenet_v2: applications.MobileNetV2 applications.mobilenet_v2.decode_predictions
  .preprocess_input
applications.mobilenet_v3: applications.MobileNetV3Large .MobileNetV3Small
  applications.mobilenet_v3.decode_predictions .preprocess_input
applications.nasnet: applications.NASNetLarge .NASNetMobile applications.nasnet.decode_predictions
  .preprocess_input
applications.resnet: applications.ResNet101 .ResNet152 .ResNet50
  applications.resnet.decode_predictions .preprocess_input
applications.resnet_v2: applications.ResNet101V2 .ResNet152V2 .ResNet50V2
  applications.resnet_v2.decode_predictions .preprocess_input
applications.vgg16: applications.VGG16 applications.vgg16.decode_predictions .preprocess_input
applications.vgg19: applications.VGG19 applications.vgg19.decode_predictions .preprocess_input
applications.xception: applications.Xception applications.xception.decode_predictions
  .preprocess_input
backend: Variable .device .name_scope
backend.common.dtypes: backend.result_type
backend.common.global_state: backend.clear_session
backend.common.keras_tensor: KerasTensor backend.is_keras_tensor
backend.common.remat: RematScope .remat
backend.common.stateless_scope: StatelessScope
backend.common.symbolic_scope: SymbolicScope
backend.common.variables: backend.is_float_dtype .is_int_dtype .standardize_dtype
backend.config: backend.backend .epsilon .floatx .image_data_format .set_epsilon .set_floatx
  .set_image_data_format config.disable_flash_attention .enable_flash_attention
  .is_flash_attention_enabled .is_nnx_enabled .max_epochs .max_steps_per_epoch .set_max_epochs
  .set_max_steps_per_epoch
callbacks.backup_and_restore: callbacks.BackupAndRestore
callbacks.callback: callbacks.Callback
callbacks.callback_list: callbacks.CallbackList
callbacks.csv_logger: callbacks.CSVLogger
callbacks.early_stopping: callbacks.EarlyStopping
callbacks.history: callbacks.History
callbacks.lambda_callback: callbacks.LambdaCallback
callbacks.learning_rate_scheduler: callbacks.LearningRateScheduler
callbacks.model_checkpoint: callbacks.ModelCheckpoint
callbacks.orbax_checkpoint: callbacks.OrbaxCheckpoint
callbacks.progbar_logger: callbacks.ProgbarLogger
callbacks.reduce_lr_on_plateau: callbacks.ReduceLROnPlateau
callbacks.remote_monitor: callbacks.RemoteMonitor
callbacks.swap_ema_weights: callbacks.SwapEMAWeights
callbacks.tensorboard: callbacks.TensorBoard
callbacks.terminate_on_nan: callbacks.TerminateOnNaN
constraints: constraints.deserialize .get .serialize
constraints.constraints: constraints.Constraint .MaxNorm .MinMaxNorm .NonNeg .UnitNorm
datasets.boston_housing: datasets.boston_housing.load_data
datasets.california_housing: datasets.california_housing.load_data
datasets.cifar10: datasets.cifar10.load_data
datasets.cifar100: datasets.cifar100.load_data
datasets.fashion_mnist: datasets.fashion_mnist.load_data
datasets.imdb: datasets.imdb.get_word_index .load_data
datasets.mnist: datasets.mnist.load_data
datasets.reuters: datasets.reuters.get_label_names .get_word_index .load_data
distillation.distillation_loss: distillation.DistillationLoss .FeatureDistillation
  .LogitsDistillation
distillation.distiller: distillation.Distiller
distribution.distribution_lib: distribution.DataParallel .DeviceMesh .Distribution .LayoutMap
  .ModelParallel .TensorLayout .distribute_tensor .distribution .get_device_count .initialize
  .list_devices .set_distribution
dtype_policies: dtype_policies.deserialize .get .serialize
dtype_policies.dtype_policy: DTypePolicy .FloatDTypePolicy config.dtype_policy .set_dtype_policy
  dtype_policies.AWQDTypePolicy .GPTQDTypePolicy .Int4DTypePolicy .QuantizedDTypePolicy
  .QuantizedFloat8DTypePolicy
dtype_policies.dtype_policy_map: dtype_policies.DTypePolicyMap
export.saved_model: export.ExportArchive
export.tfsm_layer: layers.TFSMLayer
initializers: initializers.deserialize .get .serialize
initializers.constant_initializers: initializers.Constant .Identity .Ones .STFT .Zeros
initializers.initializer: Initializer
initializers.random_initializers: initializers.GlorotNormal .GlorotUniform .HeNormal .HeUniform
  .LecunNormal .LecunUniform .Orthogonal .RandomNormal .RandomUniform .TruncatedNormal
  .VarianceScaling
layers: layers.deserialize .serialize
layers.activations.activation: layers.Activation
layers.activations.elu: layers.ELU
layers.activations.leaky_relu: layers.LeakyReLU
layers.activations.prelu: layers.PReLU
layers.activations.relu: layers.ReLU
layers.activations.softmax: layers.Softmax
layers.attention.additive_attention: layers.AdditiveAttention
layers.attention.attention: layers.Attention
layers.attention.grouped_query_attention: GroupedQueryAttention=layers.GroupQueryAttention
layers.attention.multi_head_attention: layers.MultiHeadAttention
layers.convolutional.conv1d: layers.Conv1D
layers.convolutional.conv1d_transpose: layers.Conv1DTranspose
layers.convolutional.conv2d: layers.Conv2D
layers.convolutional.conv2d_transpose: layers.Conv2DTranspose
layers.convolutional.conv3d: layers.Conv3D
layers.convolutional.conv3d_transpose: layers.Conv3DTranspose
layers.convolutional.depthwise_conv1d: layers.DepthwiseConv1D
layers.convolutional.depthwise_conv2d: layers.DepthwiseConv2D
layers.convolutional.separable_conv1d: layers.SeparableConv1D
layers.convolutional.separable_conv2d: layers.SeparableConv2D
layers.core.dense: layers.Dense
layers.core.einsum_dense: layers.EinsumDense
layers.core.embedding: layers.Embedding
layers.core.identity: layers.Identity
layers.core.input_layer: Input layers.InputLayer
layers.core.lambda_layer: layers.Lambda
layers.core.masking: layers.Masking
layers.core.reversible_embedding: layers.ReversibleEmbedding
layers.core.wrapper: layers.Wrapper
layers.input_spec: InputSpec
layers.layer: Layer
layers.merging.add: layers.Add .add
layers.merging.average: layers.Average .average
layers.merging.concatenate: layers.Concatenate .concatenate
layers.merging.dot: layers.Dot .dot
layers.merging.maximum: layers.Maximum .maximum
layers.merging.minimum: layers.Minimum .minimum
layers.merging.multiply: layers.Multiply .multiply
layers.merging.subtract: layers.Subtract .subtract
layers.normalization.batch_normalization: layers.BatchNormalization
layers.normalization.group_normalization: layers.GroupNormalization
layers.normalization.layer_normalization: layers.LayerNormalization
layers.normalization.rms_normalization: layers.RMSNormalization
layers.normalization.spectral_normalization: layers.SpectralNormalization
layers.normalization.unit_normalization: layers.UnitNormalization
layers.pooling.adaptive_average_pooling1d: layers.AdaptiveAveragePooling1D
layers.pooling.adaptive_average_pooling2d: layers.AdaptiveAveragePooling2D
layers.pooling.adaptive_average_pooling3d: layers.AdaptiveAveragePooling3D
layers.pooling.adaptive_max_pooling1d: layers.AdaptiveMaxPooling1D
layers.pooling.adaptive_max_pooling2d: layers.AdaptiveMaxPooling2D
layers.pooling.adaptive_max_pooling3d: layers.AdaptiveMaxPooling3D
layers.pooling.average_pooling1d: layers.AveragePooling1D
layers.pooling.average_pooling2d: layers.AveragePooling2D
layers.pooling.average_pooling3d: layers.AveragePooling3D
layers.pooling.global_average_pooling1d: layers.GlobalAveragePooling1D
layers.pooling.global_average_pooling2d: layers.GlobalAveragePooling2D
layers.pooling.global_average_pooling3d: layers.GlobalAveragePooling3D
layers.pooling.global_max_pooling1d: layers.GlobalMaxPooling1D
layers.pooling.global_max_pooling2d: layers.GlobalMaxPooling2D
layers.pooling.global_max_pooling3d: layers.GlobalMaxPooling3D
layers.pooling.max_pooling1d: layers.MaxPooling1D
layers.pooling.max_pooling2d: layers.MaxPooling2D
layers.pooling.max_pooling3d: layers.MaxPooling3D
layers.preprocessing.category_encoding: layers.CategoryEncoding
layers.preprocessing.discretization: layers.Discretization
layers.preprocessing.feature_space: utils.FeatureSpace
layers.preprocessing.hashed_crossing: layers.HashedCrossing
layers.preprocessing.hashing: layers.Hashing
layers.preprocessing.image_preprocessing.aug_mix: layers.AugMix
layers.preprocessing.image_preprocessing.auto_contrast: layers.AutoContrast
layers.preprocessing.image_preprocessing.bounding_boxes.converters:
  utils.bounding_boxes.affine_transform .clip_to_image_size .convert_format .crop
  .decode_deltas_to_boxes .encode_box_to_deltas .pad
layers.preprocessing.image_preprocessing.bounding_boxes.iou: utils.bounding_boxes.compute_ciou
  .compute_iou
layers.preprocessing.image_preprocessing.center_crop: layers.CenterCrop
layers.preprocessing.image_preprocessing.clahe:
  layers.ContrastLimitedAdaptiveHistogramEqualization
layers.preprocessing.image_preprocessing.cut_mix: layers.CutMix
layers.preprocessing.image_preprocessing.equalization: layers.Equalization
layers.preprocessing.image_preprocessing.max_num_bounding_box: layers.MaxNumBoundingBoxes
layers.preprocessing.image_preprocessing.mix_up: layers.MixUp
layers.preprocessing.image_preprocessing.rand_augment: layers.RandAugment
layers.preprocessing.image_preprocessing.random_brightness: layers.RandomBrightness
layers.preprocessing.image_preprocessing.random_color_degeneration: layers.RandomColorDegeneration
layers.preprocessing.image_preprocessing.random_color_jitter: layers.RandomColorJitter
layers.preprocessing.image_preprocessing.random_contrast: layers.RandomContrast
layers.preprocessing.image_preprocessing.random_crop: layers.RandomCrop
layers.preprocessing.image_preprocessing.random_elastic_transform: layers.RandomElasticTransform
layers.preprocessing.image_preprocessing.random_erasing: layers.RandomErasing
layers.preprocessing.image_preprocessing.random_flip: layers.RandomFlip
layers.preprocessing.image_preprocessing.random_gaussian_blur: layers.RandomGaussianBlur
layers.preprocessing.image_preprocessing.random_grayscale: layers.RandomGrayscale
layers.preprocessing.image_preprocessing.random_hue: layers.RandomHue
layers.preprocessing.image_preprocessing.random_invert: layers.RandomInvert
layers.preprocessing.image_preprocessing.random_perspective: layers.RandomPerspective
layers.preprocessing.image_preprocessing.random_posterization: layers.RandomPosterization
layers.preprocessing.image_preprocessing.random_rotation: layers.RandomRotation
layers.preprocessing.image_preprocessing.random_saturation: layers.RandomSaturation
layers.preprocessing.image_preprocessing.random_sharpness: layers.RandomSharpness
layers.preprocessing.image_preprocessing.random_shear: layers.RandomShear
layers.preprocessing.image_preprocessing.random_translation: layers.RandomTranslation
layers.preprocessing.image_preprocessing.random_zoom: layers.RandomZoom
layers.preprocessing.image_preprocessing.resizing: layers.Resizing
layers.preprocessing.image_preprocessing.solarization: layers.Solarization
layers.preprocessing.integer_lookup: layers.IntegerLookup
layers.preprocessing.mel_spectrogram: layers.MelSpectrogram
layers.preprocessing.normalization: layers.Normalization
layers.preprocessing.pipeline: layers.Pipeline
layers.preprocessing.rescaling: layers.Rescaling
layers.preprocessing.stft_spectrogram: layers.STFTSpectrogram
layers.preprocessing.string_lookup: layers.StringLookup
layers.preprocessing.text_vectorization: layers.TextVectorization
layers.regularization.activity_regularization: layers.ActivityRegularization
layers.regularization.alpha_dropout: layers.AlphaDropout
layers.regularization.dropout: layers.Dropout
layers.regularization.gaussian_dropout: layers.GaussianDropout
layers.regularization.gaussian_noise: layers.GaussianNoise
layers.regularization.spatial_dropout: layers.SpatialDropout1D .SpatialDropout2D .SpatialDropout3D
layers.reshaping.cropping1d: layers.Cropping1D
layers.reshaping.cropping2d: layers.Cropping2D
layers.reshaping.cropping3d: layers.Cropping3D
layers.reshaping.flatten: layers.Flatten
layers.reshaping.permute: layers.Permute
layers.reshaping.repeat_vector: layers.RepeatVector
layers.reshaping.reshape: layers.Reshape
layers.reshaping.up_sampling1d: layers.UpSampling1D
layers.reshaping.up_sampling2d: layers.UpSampling2D
layers.reshaping.up_sampling3d: layers.UpSampling3D
layers.reshaping.zero_padding1d: layers.ZeroPadding1D
layers.reshaping.zero_padding2d: layers.ZeroPadding2D
layers.reshaping.zero_padding3d: layers.ZeroPadding3D
layers.rnn.bidirectional: layers.Bidirectional
layers.rnn.conv_lstm1d: layers.ConvLSTM1D
layers.rnn.conv_lstm2d: layers.ConvLSTM2D
layers.rnn.conv_lstm3d: layers.ConvLSTM3D
layers.rnn.gru: layers.GRU .GRUCell
layers.rnn.lstm: layers.LSTM .LSTMCell
layers.rnn.rnn: layers.RNN
layers.rnn.simple_rnn: layers.SimpleRNN .SimpleRNNCell
layers.rnn.stacked_rnn_cells: layers.StackedRNNCells
layers.rnn.time_distributed: layers.TimeDistributed
legacy.layers: legacy.layers.ThresholdedReLU
legacy.losses: legacy.losses.Reduction
legacy.preprocessing.image: @legacy.preprocessing.image
legacy.preprocessing.sequence: @legacy.preprocessing.sequence
legacy.preprocessing.text: @legacy.preprocessing.text
legacy.saving.serialization: legacy.saving.deserialize_keras_object .serialize_keras_object
losses: losses.deserialize .get .serialize
losses.loss: Loss
losses.losses: losses.BinaryCrossentropy .BinaryFocalCrossentropy .CTC .CategoricalCrossentropy
  .CategoricalFocalCrossentropy .CategoricalGeneralizedCrossEntropy .CategoricalHinge .Circle
  .CosineSimilarity .Dice .Hinge .Huber .KLDivergence .LogCosh .MeanAbsoluteError
  .MeanAbsolutePercentageError .MeanSquaredError .MeanSquaredLogarithmicError .Poisson
  .SparseCategoricalCrossentropy .SquaredHinge .Tversky .binary_crossentropy
  .binary_focal_crossentropy .categorical_crossentropy .categorical_focal_crossentropy
  .categorical_generalized_cross_entropy .categorical_hinge .circle .cosine_similarity .ctc .dice
  .hinge .huber .kl_divergence .log_cosh .mean_absolute_error .mean_absolute_percentage_error
  .mean_squared_error .mean_squared_logarithmic_error .poisson .sparse_categorical_crossentropy
  .squared_hinge .tversky
metrics: metrics.deserialize .get .serialize
metrics.accuracy_metrics: metrics.Accuracy .BinaryAccuracy .CategoricalAccuracy
  .SparseCategoricalAccuracy .SparseTopKCategoricalAccuracy .TopKCategoricalAccuracy
  .binary_accuracy .categorical_accuracy .sparse_categorical_accuracy
  .sparse_top_k_categorical_accuracy .top_k_categorical_accuracy
metrics.confusion_metrics: metrics.AUC .FalseNegatives .FalsePositives .Precision
  .PrecisionAtRecall .Recall .RecallAtPrecision .SensitivityAtSpecificity
  .SpecificityAtSensitivity .TrueNegatives .TruePositives
metrics.correlation_metrics: metrics.ConcordanceCorrelation .PearsonCorrelation
  .concordance_correlation .pearson_correlation
metrics.f_score_metrics: metrics.F1Score .FBetaScore
metrics.hinge_metrics: metrics.CategoricalHinge .Hinge .SquaredHinge
metrics.iou_metrics: metrics.BinaryIoU .IoU .MeanIoU .OneHotIoU .OneHotMeanIoU
metrics.metric: Metric
metrics.probabilistic_metrics: metrics.BinaryCrossentropy .CategoricalCrossentropy .KLDivergence
  .Poisson .SparseCategoricalCrossentropy
metrics.reduction_metrics: metrics.Mean .MeanMetricWrapper .Sum
metrics.regression_metrics: metrics.CosineSimilarity .LogCoshError .MeanAbsoluteError
  .MeanAbsolutePercentageError .MeanSquaredError .MeanSquaredLogarithmicError .R2Score
  .RootMeanSquaredError
models.cloning: models.clone_model
models.model: Model models.model_from_json
models.sequential: Sequential
ops.core: ops.associative_scan .cast .cond .convert_to_numpy .convert_to_tensor .custom_gradient
  .dtype .fori_loop .is_tensor .map .saturate_cast .scan .scatter .scatter_update .shape .slice
  .slice_update .stop_gradient .switch .unstack .vectorized_map .while_loop
ops.einops: ops.rearrange
ops.function: Function
ops.image: ops.image.affine_transform .crop_images .elastic_transform .extract_patches
  .extract_patches_3d .gaussian_blur .hsv_to_rgb .map_coordinates .pad_images
  .perspective_transform .resize .rgb_to_grayscale .rgb_to_hsv .scale_and_translate .sobel_edges
  .ssim
ops.linalg: ops.cholesky .cholesky_inverse .det .eig .eigh .inv .jvp ops.linalg.lstsq .lu_factor
  .matrix_rank .norm .pinv .qr .solve .solve_triangular .svd
ops.math: ops.cdist .erf .erfc .erfinv .extract_sequences .fft .fft2 .ifft2 .in_top_k .irfft
  .istft .logdet .logsumexp .rfft .rsqrt .segment_max .segment_min .segment_prod .segment_sum
  .stft .top_k .view_as_complex .view_as_real
ops.nn: ops.adaptive_average_pool .adaptive_max_pool .average_pool .batch_normalization
  .binary_crossentropy .categorical_crossentropy .celu .conv .conv_transpose .ctc_decode .ctc_loss
  .depth_to_space .depthwise_conv .dot_product_attention .elu .fold .gelu .glu .hard_shrink
  .hard_sigmoid .hard_silu .hard_tanh .layer_normalization .leaky_relu .log_sigmoid .log_softmax
  .max_pool .moments .multi_hot ops.nn.normalize .one_hot .polar .psnr .relu .relu6
  .rms_normalization .selu .separable_conv .sigmoid .silu .soft_shrink .softmax .softplus
  .softsign .space_to_depth .sparse_categorical_crossentropy .sparse_plus .sparse_sigmoid
  .sparsemax .squareplus .tanh_shrink .threshold .unfold
ops.numpy: ops.abs .absolute .add .all .allclose .amax .amin .angle .any .append .arange .arccos
  .arccosh .arcsin .arcsinh .arctan .arctan2 .arctanh .argmax .argmin .argpartition .argsort
  .array .array_split .average .bartlett .bincount .bitwise_and .bitwise_invert
  .bitwise_left_shift .bitwise_not .bitwise_or .bitwise_right_shift .bitwise_xor .blackman
  .broadcast_to .cbrt .ceil .clip .concatenate .conj .conjugate .copy .corrcoef .correlate .cos
  .cosh .count_nonzero .cross .cumprod .cumsum .deg2rad .diag .diagflat .diagonal .diff .digitize
  .divide .divide_no_nan .dot .dsplit .dstack .einsum .empty .empty_like .equal .exp .exp2
  .expand_dims .expm1 .eye .fabs .flip .fliplr .flipud .floor .floor_divide .fmax .fmin .fmod
  .full .full_like .gcd .geomspace .get_item .greater .greater_equal .hamming .hanning .heaviside
  .histogram .hsplit .hstack .hypot .i0 .identity .imag .inner .isclose .isfinite .isin .isinf
  .isnan .isneginf .isposinf .isreal .kaiser .kron .lcm .ldexp .left_shift .less .less_equal
  .linspace .log .log10 .log1p .log2 .logaddexp .logaddexp2 .logical_and .logical_not .logical_or
  .logical_xor .logspace .matmul .max .maximum .mean .median .meshgrid .min .minimum .mod
  .moveaxis .multiply .nan_to_num .nanargmax .nanargmin .nancumprod .nancumsum .nanmax .nanmean
  .nanmedian .nanmin .nanpercentile .nanprod .nanquantile .nanstd .nansum .nanvar .ndim .negative
  .nextafter .nonzero .not_equal ops.numpy.ones .ones_like .outer .pad .percentile .power .prod
  .ptp .quantile .rad2deg .ravel .real .reciprocal .repeat .reshape .right_shift .roll .rot90
  .round .searchsorted .select .sign .signbit .sin .sinc .sinh .size .slogdet .sort .split .sqrt
  .square .squeeze .stack .std .subtract .sum .swapaxes .take .take_along_axis .tan .tanh
  .tensordot .tile .trace .transpose .trapezoid .tri .tril .triu .true_divide .trunc .unique
  .unravel_index .vander .var .vdot .vectorize .view .vsplit .vstack .where .zeros .zeros_like
ops.operation: Operation
ops.operation_utils: utils.get_source_inputs
optimizers: optimizers.deserialize .get .serialize
  LegacyOptimizerWarning=optimizers.legacy.Adagrad
optimizers.adadelta: optimizers.Adadelta
optimizers.adafactor: optimizers.Adafactor
optimizers.adagrad: optimizers.Adagrad
optimizers.adam: optimizers.Adam
optimizers.adamax: optimizers.Adamax
optimizers.adamw: optimizers.AdamW
optimizers.ftrl: optimizers.Ftrl
optimizers.lamb: optimizers.Lamb
optimizers.lion: optimizers.Lion
optimizers.loss_scale_optimizer: mixed_precision.LossScaleOptimizer
optimizers.multi_optimizer: optimizers.MultiOptimizer .OptimizerMap
optimizers.muon: optimizers.Muon
optimizers.nadam: optimizers.Nadam
optimizers.optimizer: Optimizer
optimizers.rmsprop: optimizers.RMSprop
optimizers.schedule_free_adamw: optimizers.ScheduleFreeAdamW
optimizers.schedules.learning_rate_schedule: optimizers.schedules.CosineDecay .CosineDecayRestarts
  .ExponentialDecay .InverseTimeDecay .LearningRateSchedule .PiecewiseConstantDecay
  .PolynomialDecay .deserialize .serialize
optimizers.sgd: optimizers.SGD
quantizers: quantizers.deserialize .get .serialize
quantizers.awq_config: quantizers.AWQConfig
quantizers.gptq_config: quantizers.GPTQConfig
quantizers.quantization_config: quantizers.Float8QuantizationConfig .Int4QuantizationConfig
  .Int8QuantizationConfig .QuantizationConfig
quantizers.quantizers: Quantizer quantizers.AbsMaxQuantizer .abs_max_quantize
  .abs_max_quantize_grouped_with_zero_point .compute_float8_amax_history .compute_float8_scale
  .fake_quant_with_min_max_vars .pack_int4 .quantize_and_dequantize .unpack_int4
random.random: random.beta .binomial .categorical .dropout .gamma .normal .randint .shuffle
  .truncated_normal .uniform
random.seed_generator: random.SeedGenerator
regularizers: regularizers.deserialize .get .serialize
regularizers.regularizers: Regularizer regularizers.L1 .L1L2 .L2 .OrthogonalRegularizer
saving.file_editor: saving.KerasFileEditor
saving.object_registration: saving.CustomObjectScope .get_custom_objects .get_registered_name
  .get_registered_object .register_keras_serializable
saving.saving_api: models.load_model .save_model saving.load_weights .save_weights
saving.serialization_lib: config.enable_unsafe_deserialization saving.deserialize_keras_object
  .serialize_keras_object
trainers.data_adapters.data_adapter_utils: utils.pack_x_y_sample_weight .unpack_x_y_sample_weight
trainers.data_adapters.py_dataset_adapter: utils.PyDataset
tree.tree_api: tree.MAP_TO_NONE .assert_same_paths .assert_same_structure .flatten
  .flatten_with_path .is_nested .lists_to_tuples .map_shape_structure .map_structure
  .map_structure_up_to .pack_sequence_as .traverse
utils.audio_dataset_utils: utils.audio_dataset_from_directory
utils.backend_utils: config.set_backend
utils.config: utils.Config
utils.dataset_utils: utils.split_dataset
utils.file_utils: utils.get_file
utils.image_dataset_utils: preprocessing.image_dataset_from_directory
utils.image_utils: preprocessing.image.array_to_img .img_to_array .load_img .save_img
  .smart_resize
utils.io_utils: config.disable_interactive_logging .enable_interactive_logging
  .is_interactive_logging_enabled
utils.jax_layer: layers.FlaxLayer .JaxLayer
utils.model_visualization: utils.model_to_dot .plot_model
utils.naming: backend.get_uid
utils.numerical_utils: utils.normalize .to_categorical
utils.progbar: utils.Progbar
utils.rng_utils: utils.set_random_seed
utils.sequence_utils: preprocessing.sequence.pad_sequences
utils.text_dataset_utils: preprocessing.text_dataset_from_directory
utils.timeseries_dataset_utils: preprocessing.timeseries_dataset_from_array
utils.torch_utils: layers.TorchModuleWrapper
utils.traceback_utils: config.disable_traceback_filtering .enable_traceback_filtering
  .is_traceback_filtering_enabled
version: version
visualization.draw_bounding_boxes: visualization.draw_bounding_boxes
visualization.draw_segmentation_masks: visualization.draw_segmentation_masks
visualization.plot_bounding_box_gallery: visualization.plot_bounding_box_gallery
visualization.plot_image_gallery: visualization.plot_image_gallery
visualization.plot_segmentation_mask_gallery: visualization.plot_segmentation_mask_gallery
wrappers.sklearn_wrapper: wrappers.SKLearnClassifier .SKLearnRegressor .SKLearnTransformer
"""

# What packages use and Keras has not in public.
PRIVATE = """
activations: @activations
api_export: src_functions.keras_export
applications.imagenet_utils: applications.building.obtain_input_shape
backend: @ops @backend @config src_functions.SUPPORTS_SPARSE_TENSORS .SUPPORTS_RAGGED_TENSORS
  .SUPPORTS_COMPLEX_DTYPES .IS_THREAD_SAFE .DYNAMIC_SHAPES_OK .DYNAMIC_BATCH_SIZE_OK
  .random_seed_dtype .compute_output_spec distribution_lib=distribution
backend.common: @backend KerasVariable=Variable
backend.common.backend_utils: src_shapes.canonicalize_axis .canonicalize_axes
  .compute_conv_transpose_output_shape .compute_conv_transpose_padding_args_for_jax
  _convert_conv_transpose_padding_args_from_keras_to_jax=src_shapes.conv_transpose_padding
  _get_output_shape_given_tf_padding=src_shapes.conv_transpose_size
backend.common.dtypes: core.promotion.BOOL_TYPES .INT_TYPES .FLOAT_TYPES .FLOAT8_TYPES
  .COMPLEX_TYPES .WEAK_TYPES .ALLOWED_DTYPES LATTICE_UPPER_BOUNDS=core.promotion.UPPER_BOUNDS
  _least_upper_bound=core.promotion.least_upper_bound _resolve_weak_type=core.promotion.of_width
  _make_lattice_upper_bounds=core.promotion.upper_bounds _respect_weak_type=core.promotion.weak
  _type_promotion_lattice=core.promotion.lattice
backend.common.global_state: src_functions.get_global_attribute .set_global_attribute
backend.common.keras_tensor: src_functions.any_symbolic_tensors
backend.common.masking: backend.get_keras_mask .set_keras_mask
backend.common.name_scope: name_scope core.scopes.current_path
backend.common.remat: &core.remat
backend.common.stateless_scope: core.scopes.get_stateless_scope .in_stateless_scope
backend.common.symbolic_scope: core.scopes.in_symbolic_scope
backend.common.variables: Variable core.symbolic.standardize_shape src_shapes.shape_equal
  core.promotion.ALLOWED_DTYPES AutocastScope=src_functions.autocast_scope
backend.config: core.arguments.standardize_data_format
backend.core: @ops remat name_scope
backend.image: @ops.image
backend.jax: @backend @ops
backend.jax.core: @ops Variable
backend.jax.distribution_lib: @distribution
backend.jax.image: @ops.image
backend.jax.linalg: @ops.linalg
backend.jax.math: @ops
backend.jax.nn: @ops.nn
backend.jax.numpy: @ops.numpy @ops
backend.jax.random: @random draw_seed=core.rng.draw_key jax_draw_seed=core.rng.draw_key
backend.jax.trainer: JAXTrainer=training.trainer.Trainer
backend.linalg: @ops.linalg
backend.math: @ops
backend.nn: @ops.nn
backend.numpy: @ops.numpy @ops
backend.random: @random
callbacks.monitor_callback: training.monitors.MonitorCallback
datasets.npz_utils: load_npz=datasets.files.read_npz
dtype_policies.dtype_policy: core.policies.QUANTIZATION_MODES
  _get_quantized_dtype_policy_by_str=core.policies.get_quantized
initializers.random_initializers: initializers.compute_fans
layers.preprocessing.feature_space: utils.feature_space.Cross .Feature .TFDIdentity
layers.preprocessing.index_lookup: layers.index_lookup.IndexLookup
layers.merging.base_merge: layers.merging.Merge
layers.merging.dot: backend.batch_dot
layers.rnn.conv_lstm: layers.conv_recurrent.ConvLSTMCell src_functions.ConvLSTM
legacy.backend: @backend
legacy.saving.json_utils: src_functions.Encoder .decode
layers.preprocessing.data_layer: layers.image_base.DataLayer
layers.preprocessing.image_preprocessing.base_image_preprocessing_layer:
  layers.image_base.BaseImagePreprocessingLayer
layers.preprocessing.image_preprocessing.bounding_boxes.formats: ops.bounding_boxes.FORMATS
layers.preprocessing.image_preprocessing.bounding_boxes.validation:
  layers.image_base.densify_bounding_boxes .validate_bounding_boxes
legacy.saving.legacy_h5_format: load_model_from_hdf5=saving.load_model
  save_model_to_hdf5=saving.save_model
losses.loss: losses.loss.squeeze_or_expand_to_same_rank .apply_mask .reduce_weighted_values
  .standardize_reduction
losses.losses: losses.loss.LossFunctionWrapper
metrics.metrics_utils: src_functions.AUCCurve .AUCSummationMethod
models.functional: models.functional.Functional
ops: random KerasTensor
ops.numpy: @ops src_shapes.broadcast_shapes .shape_equal
ops.operation_utils: src_shapes.broadcast_shapes .compute_conv_output_shape
  .compute_pooling_output_shape .compute_reshape_output_shape .reduce_shape
optimizers.base_optimizer: BaseOptimizer=optimizers.Optimizer
quantizers.awq: quantizers.awq.AWQ .awq_quantize_matrix .awq_search_optimal_scales
quantizers.gptq: quantizers.gptq.GPTQ .gptq_quantize_matrix ._stable_permutation
quantizers.gptq_core: quantizers.calibration.get_dataloader
  gptq_quantize=quantizers.calibration.calibrate
quantizers.quantization_config: quantizers.configs.validate_and_resolve_config
quantizers.quantizers: quantizers.quantizers.compute_quantization_parameters
  .dequantize_with_sz_map .dequantize_with_zero_point .quantize_with_sz_map
  .quantize_with_zero_point
quantizers.utils: quantizers.configs.should_quantize_layer
random.seed_generator: draw_seed=core.rng.draw_key make_default_seed=core.rng.make_seed
  global_seed_generator=core.rng.global_stream
regularizers.regularizers: src_functions.validate_float_arg
saving.object_registration: custom_object_scope=saving.custom_object_scope
  GLOBAL_CUSTOM_NAMES=core.registry._registered_name GLOBAL_CUSTOM_OBJECTS=core.registry._registered
saving.keras_saveable: KerasSaveable=core.base.Object
saving.saving_lib: saving.save_model .load_model saving.stores.H5IOStore
  _walk_saveable=saving.weights_h5.children
  _ZIP_MEMBER_BOMB_FLOOR_BYTES=saving.keras_archive._FLOOR
  _ZIP_EXTRACT_BOMB_FLOOR_BYTES=saving.keras_archive._FLOOR
  _ZIP_MEMBER_MAX_EXPANSION=saving.keras_archive._MOST_EXPANSION
  _safe_zip_read=saving.keras_archive.read_member
  safe_get_h5_dataset=saving.h5_reader.safe_dataset
  _CONFIG_FILENAME=saving.keras_archive.CONFIG _METADATA_FILENAME=saving.keras_archive.METADATA
  _VARS_FNAME_H5=saving.keras_archive.WEIGHTS _MEMORY_UPPER_BOUND=src_functions.MEMORY_UPPER_BOUND
  save_weights_only=saving.save_weights load_weights_only=saving.load_weights
saving.serialization_lib: ObjectSharingScope=core.serialization.numbering
  SafeModeScope=core.registry.safe_mode_scope src_functions.in_safe_mode
trainers.data_adapters.array_slicing: train_validation_split=training.data.split
trainers.data_adapters.data_adapter_utils: src_functions.class_weight_to_sample_weights
trainers.compile_utils: training.compile.CompileLoss .CompileMetrics
trainers.trainer: training.trainer.Trainer
tree.dmtree_impl: @tree
tree.optree_impl: @tree
utils.argument_validation: src_functions.standardize_padding .standardize_tuple
utils.backend_utils: src_functions.convert_tf_tensor .in_tf_graph .in_grain_data_pipeline
utils.file_utils: File=/builtins.open /os.path.exists .isdir .join /os.listdir .makedirs
  copy=/shutil.copy rmtree=/shutil.rmtree resolve_path=/os.path.realpath
  src_functions.is_remote_path .path_to_string .resolve_sub_path .resolve_hasher
  _raise_if_no_gfile=src_functions.raise_if_no_gfile utils.archives.extract_archive
  utils.downloads.hash_file .validate_file
utils.dtype_utils: src_functions.dtype_size .cast_to_common_dtype
  is_float=src_functions.names_float
utils.io_utils: src_functions.print_msg .set_logging_verbosity
  ask_to_proceed_with_overwrite=core.messages.ask_to_overwrite
utils.jax_utils: src_functions.is_in_jax_tracing_scope
utils.module_utils: src_functions.LazyModule .tensorflow .tensorflow_io .gfile .scipy .h5py
  .optree .dmtree .grain jax=src_functions.jax_module ocp=src_functions.orbax
utils.naming: core.naming.auto_name .to_snake_case reset_uids=core.naming.reset_names
  src_functions.get_object_name uniquify=core.naming.auto_name
utils.numerical_utils: src_functions.build_pos_neg_masks
utils.summary_utils: models.summary.print_summary src_functions.count_params
utils.python_utils: pythonify_logs=training.callbacks.floats src_functions.func_dump .func_load
  .to_list .remove_long_seq /builtins.str.removeprefix .removesuffix
utils.traceback_utils: filter_traceback=core.tracebacks.entry
utils.tracking: src_functions.no_automatic_dependency_tracking .DotNotTrackScope
  .is_tracking_enabled TrackedList=/builtins.list
  TrackedDict=/builtins.dict TrackedSet=src_functions.TrackedSet
  TrackedOrderedDict=/collections.OrderedDict
"""
