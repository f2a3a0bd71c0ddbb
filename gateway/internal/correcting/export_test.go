package correcting

// Shortest is the time in which nobody corrects a card.
var Shortest = &shortest
