# Reference values for tests/statistics, from R and pROC. Run once, from the repository root:
#   Rscript tests/statistics/r/reference.R > tests/statistics/r/reference.json
# The data are written beside the values, so that the tests need no R.
suppressMessages(library(pROC))

number <- function(x) format(x, digits = 15, scientific = FALSE, trim = TRUE)
vector_json <- function(x) paste0("[", paste(number(x), collapse = ", "), "]")

roc_case <- function(name, truth, scores) {
  curve <- roc(truth, scores, levels = c(0, 1), direction = "<", quiet = TRUE)
  limits <- ci.auc(curve, method = "delong", conf.level = 0.95)
  paste0('    {"name": "', name, '", "truth": ', vector_json(truth), ', "scores": ', vector_json(scores),
         ', "auc": ', number(limits[2]), ', "low": ', number(limits[1]), ', "high": ', number(limits[3]),
         ', "variance": ', number(var(curve, method = "delong")), "}")
}

share_case <- function(events, trials, level) {
  exact <- binom.test(events, trials, conf.level = level)$conf.int
  score <- suppressWarnings(prop.test(events, trials, conf.level = level, correct = FALSE)$conf.int)
  paste0('    {"events": ', events, ', "trials": ', trials, ', "level": ', level,
         ', "exact": ', vector_json(exact), ', "score": ', vector_json(score), "}")
}

set.seed(20)
truth <- rep(c(0, 1), c(60, 45))
clear <- round(c(rnorm(60), rnorm(45, 1.5)), 6)
tied <- round(c(rnorm(60), rnorm(45, 0.7)))
near <- round(c(rnorm(60), rnorm(45, 4)), 6)
skewed <- round(c(rexp(60), rexp(45, 0.5)), 2)
curves <- c(roc_case("clear", truth, clear), roc_case("tied", truth, tied), roc_case("near one", truth, near),
            roc_case("skewed", truth, skewed))
shares <- c(share_case(0, 10, 0.95), share_case(10, 10, 0.95), share_case(7, 12, 0.95), share_case(81, 263, 0.95),
            share_case(95, 100, 0.9875), share_case(1, 1, 0.95))

cat('{\n  "r": "', R.version$major, ".", R.version$minor, '", "pROC": "', as.character(packageVersion("pROC")),
    '",\n  "roc": [\n', paste(curves, collapse = ",\n"), '\n  ],\n  "shares": [\n', paste(shares, collapse = ",\n"),
    "\n  ]\n}\n", sep = "")
