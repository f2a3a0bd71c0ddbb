package asking

// Shortest is the time in which nobody answers all the questions.
var Shortest = &shortest
