//go:build !race

package federationtest

// raceFactor is how much slower the race detector makes a history.
const raceFactor = 1
