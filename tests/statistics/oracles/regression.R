# Logistic regressions, their tests and variances, and calibration.
# Run once: Rscript regression.R (writes regression.json beside it). The tests need no R.
# R 4.2.2, MASS, brglm2 0.9, sandwich 3.0.2, geepack 1.3.9, lmtest, rms 6.5.0; data are made here and written beside the values.
suppressMessages({library(MASS); library(brglm2); library(sandwich); library(geepack); library(lmtest); library(rms); library(jsonlite)})
set.seed(32)

patients <- 150
owner <- rep(seq_len(patients), times = sample(1:3, patients, replace = TRUE))
n <- length(owner)
age <- round(rnorm(patients, 55, 18))[owner]
ethnicity <- sample(c("european", "maori", "pacific", "asian"), patients, replace = TRUE, prob = c(0.4, 0.25, 0.2, 0.15))[owner]
truth <- rbinom(n, 1, 0.45)
output <- round(1.2 * truth - 0.4 + 0.01 * (age - 55) * truth + 0.6 * rnorm(patients)[owner] + rnorm(n), 3)
d <- data.frame(truth, output, age, ethnicity = relevel(factor(ethnicity), names(which.max(table(ethnicity)))), owner)
called <- as.integer(output > 0)
d$right <- as.integer(called == truth)

lrt <- function(full, less) { a <- anova(less, full, test = "LRT"); list(statistic = a$Deviance[2], df = a$Df[2], p = a$`Pr(>Chi)`[2]) }
terms_of <- function(fit, pick) { ci <- suppressMessages(confint(fit)); list(estimate = unname(coef(fit)[pick]), low = unname(ci[pick, 1]), high = unname(ci[pick, 2])) }
tight <- list(epsilon = 1e-14, maxit = 100)
by_age <- glm(truth ~ output * age, binomial, d, control = tight)
by_age0 <- glm(truth ~ output + age, binomial, d, control = tight)
by_ethnicity <- glm(truth ~ output * ethnicity, binomial, d, control = tight)
by_ethnicity0 <- glm(truth ~ output + ethnicity, binomial, d, control = tight)
pick <- grep("output:", names(coef(by_ethnicity)))
robust <- vcovCL(by_ethnicity, cluster = d$owner)              # HC0 with G / (G - 1)
b <- coef(by_ethnicity)[pick]
wald <- as.numeric(b %*% solve(robust[pick, pick]) %*% b) / length(pick)
bare <- geeglm(truth ~ output * age, binomial, data = d, id = owner, corstr = "independence", control = geese.control(epsilon = 1e-12, maxit = 100))
gee <- summary(bare)$coefficients

positives <- d[d$truth == 1, ]
right <- glm(right ~ age, binomial, positives, control = tight)
right0 <- glm(right ~ 1, binomial, positives, control = tight)

# Firth: the endometrial cancer study of Heinze and Schemper 2002 (data of brglm2), separated by NV.
data(endometrial)
firth <- glm(HG ~ NV + PI + EH, binomial, endometrial, method = "brglmFit", type = "AS_mean",
             control = list(epsilon = 1e-12, maxit = 1000))
x <- model.matrix(firth); y <- endometrial$HG
penalised <- function(beta) {
  eta <- as.numeric(x %*% beta); p <- plogis(eta)
  sum(y * plogis(eta, log.p = TRUE) + (1 - y) * plogis(-eta, log.p = TRUE)) +
    0.5 * as.numeric(determinant(crossprod(x * sqrt(p * (1 - p))))$modulus)
}
best <- function(held) {                                               # a direct search, coefficients in `held` at 0
  free <- setdiff(1:4, held)
  f <- function(v) { beta <- rep(0, 4); beta[free] <- v; -penalised(beta) }
  start <- coef(firth)[free]
  for (i in 1:5) { o <- optim(start, f, method = "Nelder-Mead", control = list(reltol = 1e-15, maxit = 20000)); start <- o$par }
  -o$value
}
full <- best(integer())
firth_tests <- sapply(2:4, function(j) 2 * (full - best(j)))
joint <- 2 * (full - best(c(2, 3)))

probability <- round(plogis(0.5 + 1.6 * (output - 0.1)), 5)
logits <- qlogis(probability)
line <- glm(truth ~ logits, binomial, control = tight)
large <- glm(truth ~ offset(logits), family = binomial, control = tight)
line_robust <- vcovCL(line, cluster = owner)
val <- val.prob(probability, truth, pl = FALSE)

write(toJSON(list(
  versions = list(R = paste(R.version$major, R.version$minor, sep = "."), brglm2 = as.character(packageVersion("brglm2")),
                  sandwich = as.character(packageVersion("sandwich")), geepack = as.character(packageVersion("geepack")),
                  rms = as.character(packageVersion("rms"))),
  films = list(truth = truth, output = output, age = age, ethnicity = ethnicity, owner = owner, probability = probability),
  age = c(lrt(by_age, by_age0), terms_of(by_age, "output:age")),
  ethnicity = c(lrt(by_ethnicity, by_ethnicity0), list(names = names(b)), terms_of(by_ethnicity, pick)),
  robust = list(names = names(b), estimate = unname(b), se = unname(sqrt(diag(robust)[pick])), f = wald,
                p = pf(wald, length(pick), patients - 1, lower.tail = FALSE)),
  geepack = list(names = rownames(gee), estimate = gee$Estimate, se = gee$`Std.err`),
  right_among_positives = c(lrt(right, right0), terms_of(right, "age")),
  endometrial = list(NV = endometrial$NV, PI = endometrial$PI, EH = endometrial$EH, HG = endometrial$HG),
  firth = list(estimate = unname(coef(firth)), se = unname(sqrt(diag(vcov(firth)))), penalised = full, statistics = firth_tests, joint = joint),
  calibration = list(intercept = unname(coef(line)[1]), slope = unname(coef(line)[2]), se = unname(sqrt(diag(vcov(line)))),
                     robust_se = unname(sqrt(diag(line_robust))), large = unname(coef(large)), large_se = unname(sqrt(diag(vcov(large)))),
                     val_prob = list(intercept = unname(val["Intercept"]), slope = unname(val["Slope"]), brier = unname(val["Brier"]))),
  patients = patients), auto_unbox = TRUE, digits = NA, pretty = TRUE), "regression.json")
