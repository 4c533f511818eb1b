# Two models on the same films, films of the same patients, kappa and predictive values.
# Run once: Rscript comparison.R (writes comparison.json beside it). The tests need no R.
# R 4.2.2, pROC 1.18.0, survey 4.1.1, epiR 2.0.57, psych; data are made here and written beside the values.
suppressMessages({library(pROC); library(survey); library(epiR); library(psych); library(jsonlite)})
set.seed(51)

patients <- 70
owner <- rep(seq_len(patients), times = sample(1:4, patients, replace = TRUE))
n <- length(owner)
truth <- rbinom(n, 1, ifelse(owner %% 3 == 0, 0.8, 0.3))          # patients with films of both sides
shared <- rnorm(patients)[owner]
first <- round(1.4 * truth + 0.7 * shared + rnorm(n), 2)
second <- round(0.8 * truth + 0.7 * shared + rnorm(n), 1)          # coarse: ties

paired <- roc.test(roc(truth, first, levels = 0:1, direction = "<", quiet = TRUE),
                   roc(truth, second, levels = 0:1, direction = "<", quiet = TRUE), method = "delong", paired = TRUE)

# Obuchowski 1997 from the definition: the kernel of every pair of films, summed by patient.
kernel <- function(x, y) (x > y) + 0.5 * (x == y)
components <- function(scores) {
  k <- outer(scores[truth == 1], scores[truth == 0], kernel)
  list(auc = mean(k),
       up = tapply(rowMeans(k) - mean(k), factor(owner[truth == 1], levels = seq_len(patients)), sum),
       down = tapply(colMeans(k) - mean(k), factor(owner[truth == 0], levels = seq_len(patients)), sum))
}
zero <- function(x) ifelse(is.na(x), 0, x)
covariance <- function(a, b) {
  i10 <- sum(!is.na(a$up)); i01 <- sum(!is.na(a$down)); m <- sum(truth == 1); k <- sum(truth == 0)
  i10 / (i10 - 1) * sum(zero(a$up) * zero(b$up)) / m^2 + i01 / (i01 - 1) * sum(zero(a$down) * zero(b$down)) / k^2 +
    patients / (patients - 1) * (sum(zero(a$up) * zero(b$down)) + sum(zero(a$down) * zero(b$up))) / (m * k)
}
a <- components(first); b <- components(second)
clustered <- list(auc = a$auc, variance = covariance(a, a),
                  difference_variance = covariance(a, a) + covariance(b, b) - 2 * covariance(a, b))
# The same variance by leaving one patient out at a time (an independent estimate, equal up to order 1 / patients).
left <- sapply(seq_len(patients), function(p) {
  keep <- owner != p
  mean(outer(first[keep & truth == 1], first[keep & truth == 0], kernel))
})
clustered$jackknife <- (patients - 1) / patients * sum((left - mean(left))^2)

right_first <- as.integer((first > 0.7) == (truth == 1))
right_second <- as.integer((second > 0.5) == (truth == 1))
only <- c(sum(right_first & !right_second), sum(!right_first & right_second))
table2 <- matrix(c(sum(right_first & right_second), only[2], only[1], sum(!right_first & !right_second)), 2)
design <- svydesign(ids = ~owner, weights = ~w, data = data.frame(owner = owner, w = 1, gap = right_first - right_second,
                                                               right = right_first))
gap <- svymean(~gap, design)
share <- svyciprop(~right, design, method = "beta")
rare <- as.integer(first > 2.4)
design2 <- svydesign(ids = ~owner, weights = ~w, data = data.frame(owner = owner, w = 1, rare = rare))
share2 <- svyciprop(~rare, design2, method = "beta", level = 0.9875)

confusions <- list(c(20, 5, 10, 15), c(88, 14, 10, 78), c(3, 1, 0, 40), c(120, 30, 45, 205))
agreement <- lapply(confusions, function(cells) {
  m <- matrix(cells, 2, byrow = TRUE)                                    # rows truth +, -; columns called +, -
  two <- cohen.kappa(m, alpha = 0.05)
  mcc <- function(x) (x[1] * x[4] - x[2] * x[3]) / sqrt((x[1] + x[2]) * (x[1] + x[3]) * (x[4] + x[2]) * (x[4] + x[3]))
  p <- cells / sum(cells)
  step <- 1e-5
  gradient <- sapply(1:4, function(j) { e <- replace(rep(0, 4), j, step); (mcc(p + e) - mcc(p - e)) / (2 * step) })
  variance <- (sum(p * gradient^2) - sum(p * gradient)^2) / sum(cells)      # the multinomial delta method
  list(cells = cells, kappa = two$kappa, kappa_variance = two$var.kappa, mcc = mcc(p), mcc_variance = variance)
})
many <- matrix(c(30, 4, 2, 1, 6, 22, 5, 0, 1, 7, 18, 3, 2, 0, 4, 25), 4, byrow = TRUE)
four <- cohen.kappa(many)

# Predictive values at a prevalence: the log of the likelihood ratio (epiR, Simel 1991) plus the log odds of the prevalence.
predictive <- lapply(list(list(c(240, 178, 87, 288), 0.03), list(c(45, 5, 12, 88), 0.2)), function(one) {
  x <- one[[1]]; pi <- one[[2]]
  tests <- summary(epi.tests(matrix(c(x[1], x[3], x[2], x[4]), 2, byrow = TRUE), conf.level = 0.95))
  ratio <- function(name, odds) { r <- unlist(tests[tests$statistic == name, c("est", "lower", "upper")]); v <- r * odds; as.numeric(v / (1 + v)) }
  ppv <- ratio("lr.pos", pi / (1 - pi))
  not <- ratio("lr.neg", pi / (1 - pi))
  list(cells = x, prevalence = pi, ppv = ppv, npv = c(1 - not[1], 1 - not[3], 1 - not[2]))
})

p <- c(0.001, 0.8, 0.04, 0.04, 0.012, 0.3, 0.0499)
adjusted <- list(p = p, bonferroni = p.adjust(p, "bonferroni"), holm = p.adjust(p, "holm"), bh = p.adjust(p, "BH"))

write(toJSON(list(
  versions = list(R = paste(R.version$major, R.version$minor, sep = "."), pROC = as.character(packageVersion("pROC")),
                  survey = as.character(packageVersion("survey")), epiR = as.character(packageVersion("epiR")),
                  psych = as.character(packageVersion("psych"))),
  films = list(truth = truth, first = first, second = second, owner = owner, right_first = right_first,
               right_second = right_second, rare = rare),
  paired_delong = list(z = unname(paired$statistic), p = paired$p.value, low = paired$conf.int[1],
                       high = paired$conf.int[2], first = unname(paired$estimate[1]), second = unname(paired$estimate[2])),
  clustered = clustered,
  mcnemar = list(only_first = only[1], only_second = only[2], exact = binom.test(only[1], sum(only))$p.value,
                 asymptotic = mcnemar.test(table2, correct = FALSE)$p.value),
  clustered_difference = list(value = unname(coef(gap)), se = as.numeric(SE(gap)), df = degf(design)),
  korn_graubard = list(right = list(value = as.numeric(coef(share)), low = as.numeric(attr(share, "ci")[1]), high = as.numeric(attr(share, "ci")[2])),
                       rare = list(value = as.numeric(coef(share2)), low = as.numeric(attr(share2, "ci")[1]), high = as.numeric(attr(share2, "ci")[2]))),
  agreement = agreement, kappa_of_four = list(matrix = many, kappa = four$kappa, variance = four$var.kappa),
  predictive = predictive, adjusted = adjusted), auto_unbox = TRUE, digits = NA, pretty = TRUE), "comparison.json")
