"""The literature, by the short form in which the report's text cites it."""

REFERENCES = {
    "Benavoli et al., 2017": (
        "A. Benavoli, G. Corani, J. Demšar y M. Zaffalon (2017). *Time for a change: a tutorial"
        " for comparing multiple classifiers through Bayesian analysis*. Journal of Machine "
        "Learning Research 18(77), 1–36."
    ),
    "Bonett y Price, 2012": (
        "D. G. Bonett y R. M. Price (2012). *Adjusted Wald confidence interval for a difference"
        " of binomial proportions based on paired data*. Journal of Educational and Behavioral "
        "Statistics 37(4), 479–488."
    ),
    "Bouthillier et al., 2021": (
        "X. Bouthillier, P. Delaunay, M. Bronzi y otros (2021). *Accounting for variance in "
        "machine learning benchmarks*. Proceedings of Machine Learning and Systems 3, 747–769."
    ),
    "Clanuwat et al., 2018": (
        "T. Clanuwat, M. Bober-Irizar, A. Kitamoto y otros (2018). *Deep learning for classical "
        "Japanese literature*. arXiv:1812.01718."
    ),
    "Deng et al., 2009": (
        "J. Deng, W. Dong, R. Socher, L.-J. Li, K. Li y L. Fei-Fei (2009). *ImageNet: a "
        "large-scale hierarchical image database*. CVPR, 248–255."
    ),
    "Dietterich, 1998": (
        "T. G. Dietterich (1998). *Approximate statistical tests for comparing supervised "
        "classification learning algorithms*. Neural Computation 10(7), 1895–1923."
    ),
    "Guo et al., 2017": (
        "C. Guo, G. Pleiss, Y. Sun y K. Q. Weinberger (2017). *On calibration of modern neural "
        "networks*. ICML, PMLR 70, 1321–1330."
    ),
    "He et al., 2016": (
        "K. He, X. Zhang, S. Ren y J. Sun (2016). *Deep residual learning for image "
        "recognition*. CVPR, 770–778."
    ),
    "Holm, 1979": (
        "S. Holm (1979). *A simple sequentially rejective multiple test procedure*. "
        "Scandinavian Journal of Statistics 6(2), 65–70."
    ),
    "LeCun et al., 1998": (
        "Y. LeCun, L. Bottou, Y. Bengio y P. Haffner (1998). *Gradient-based learning applied "
        "to document recognition*. Proceedings of the IEEE 86(11), 2278–2324."
    ),
    "Nadeau y Bengio, 2003": (
        "C. Nadeau y Y. Bengio (2003). *Inference for the generalization error*. Machine "
        "Learning 52(3), 239–281."
    ),
    "Russakovsky et al., 2015": (
        "O. Russakovsky, J. Deng, H. Su y otros (2015). *ImageNet Large Scale Visual Recognition "
        "Challenge*. International Journal of Computer Vision 115(3), 211–252."
    ),
    "Tan y Le, 2019": (
        "M. Tan y Q. V. Le (2019). *EfficientNet: rethinking model scaling for convolutional "
        "neural networks*. ICML, PMLR 97, 6105–6114."
    ),
    "Xiao et al., 2017": (
        "H. Xiao, K. Rasul y R. Vollgraf (2017). *Fashion-MNIST: a novel image dataset for "
        "benchmarking machine learning algorithms*. arXiv:1708.07747."
    ),
    "Yadav y Bottou, 2019": (
        "C. Yadav y L. Bottou (2019). *Cold case: the lost MNIST digits*. Advances in Neural "
        "Information Processing Systems 32."
    ),
}


def cited(text: str) -> str:
    """List the works that `text` cites, a bullet each, by author."""
    return "\n".join(f"- {work}" for key, work in REFERENCES.items() if key in text)
