# Sample sizes and powers. Run once: Rscript sample_size.R (writes sample_size.json beside it). The tests need no R.
# R 4.2.2, pROC 1.18.0; the powers are simulated here with tests of R.
suppressMessages({library(pROC); library(jsonlite)})
set.seed(12)

areas <- lapply(list(c(0.7, 1, 0.8, 0.05), c(0.85, 3, 0.9, 0.0125), c(0.6, 0.5, 0.8, 0.05)), function(x) {
  found <- power.roc.test(auc = x[1], kappa = x[2], power = x[3], sig.level = x[4], alternative = "two.sided")
  list(auc = x[1], negatives_each = x[2], power = x[3], level = 1 - x[4], positives = found$ncases)
})

# Exact unconditional power of McNemar's asymptotic test, over all numbers of films that disagree.
mcnemar_power <- function(n, one, other) {
  m <- 1:n
  sum(sapply(m, function(k) { b <- 0:k; dbinom(k, n, one + other) * sum(dbinom(b, k, one / (one + other))[(2 * b - k)^2 / k > qchisq(0.95, 1)]) }))
}
pairs <- lapply(list(c(0.15, 0.05, 155), c(0.2, 0.1, 234)), function(x) list(only_first = x[1], only_second = x[2], films = x[3], power = mcnemar_power(x[3], x[1], x[2])))

interaction_power <- function(n, auc, other, prevalence, share, runs = 1500) {
  mean(replicate(runs, {
    y <- rbinom(n, 1, prevalence); g <- rbinom(n, 1, share)
    x <- rnorm(n) + y * sqrt(2) * qnorm(ifelse(g == 1, other, auc))
    suppressWarnings(anova(glm(y ~ x + g, binomial), glm(y ~ x * g, binomial), test = "LRT")$`Pr(>Chi)`[2] < 0.05)
  }))
}
interactions <- lapply(list(c(0.9, 0.8, 0.5, 0.5), c(0.85, 0.7, 0.3, 0.2)), function(x) {
  n <- as.integer(Sys.getenv(paste0("FILMS_", 100 * x[1], "_", 100 * x[2])))
  list(auc = x[1], other = x[2], prevalence = x[3], share = x[4], films = n, power = interaction_power(n, x[1], x[2], x[3], x[4]))
})
write(toJSON(list(versions = list(R = paste(R.version$major, R.version$minor, sep = "."), pROC = as.character(packageVersion("pROC"))),
                  areas = areas, pairs = pairs, interactions = interactions), auto_unbox = TRUE, digits = NA, pretty = TRUE),
      "sample_size.json")
