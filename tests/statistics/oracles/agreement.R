# Intraclass correlation and the Kruskal-Wallis test.
# Run once: Rscript agreement.R (writes agreement.json beside it). The tests need no R.
# R 4.2.2, psych 2.2.9; data are made here, and the ratings of Shrout and Fleiss 1979 (table 2), and written beside the values.
suppressMessages({library(psych); library(jsonlite)})
set.seed(6)

shrout <- matrix(c(9, 2, 5, 8, 6, 1, 3, 2, 8, 4, 6, 8, 7, 1, 2, 6, 10, 5, 6, 9, 6, 2, 4, 7), 6, byrow = TRUE)
film <- rnorm(25, 100, 10)
biased <- round(cbind(film + rnorm(25, 0, 3), film + 4 + rnorm(25, 0, 3), film - 1 + rnorm(25, 0, 3)), 2)
alike <- round(cbind(film + rnorm(25, 0, 0.5), film + rnorm(25, 0, 0.5)), 2)
noise <- round(matrix(rnorm(48), 12), 3)

of <- function(x, level) {
  found <- ICC(x, lmer = FALSE, alpha = 1 - level)$results
  pick <- function(type) as.numeric(found[found$type == type, c("ICC", "lower bound", "upper bound")])
  list(values = x, level = level, agreement = pick("ICC2"), consistency = pick("ICC3"))
}
groups <- rep(c("a", "b", "c"), c(7, 9, 9))
ranked <- round(film + 6 * (groups == "b"), 0)                      # ties
test <- kruskal.test(ranked, factor(groups))
write_json(list(
  icc = list(of(shrout, 0.95), of(biased, 0.95), of(alike, 0.95), of(noise, 0.95), of(biased, 0.9)),
  ranks = list(values = ranked, groups = groups, h = unname(test$statistic))
), "agreement.json", digits = 12, auto_unbox = TRUE, pretty = FALSE)
