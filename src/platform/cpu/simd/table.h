// Included last inside each instruction set's namespace.

constexpr Kernels kTable = {
    .convert = convert,
    .layer_norm = layer_norm,
    .rms_norm = rms_norm,
    .rope = rope,
    .guide = guide,
    .softmax = softmax,
    .activate = activate,
    .gated_activate = gated_activate,
    .add_gated = add_gated,
    .combine = combine,
    .scale_shift = scale_shift,
    .all_finite = all_finite,
    .small_linear = small_linear,
};
