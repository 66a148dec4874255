package domain

import "time"

// Attempt is the input of a decision that isn't part of the request: the time, and a
// name for new secrets that no other attempt uses.
type Attempt struct {
	At time.Time
	ID string
	// NewKey generates a key pair for an algorithm such as RS384. Default: none can be.
	NewKey func(algorithm string) (GeneratedKey, error)
}

// Decision is the result of a command: the event to record and the secrets to seal
// before it. Without a change there is no event.
type Decision struct {
	Event Event
	Seal  []SealedSecret
}
