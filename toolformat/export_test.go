package toolformat

// PatternOfClients is portable, for tests.
var PatternOfClients = portable
