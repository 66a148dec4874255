package connectors

import (
	"github.com/seed677028b5/integrations/connectors/program"
	"github.com/seed677028b5/integrations/connectors/signin"
	"github.com/seed677028b5/integrations/domain"
)

// Names of the packages below that the others need: they import this one alone.
type (
	// Profile is a program that integrations may have started, as the operator
	// describes it.
	Profile = program.Profile
	// ProfileSlot is a place in the arguments of a profile.
	ProfileSlot = program.Slot
	// ProfileLimits bound what one process may use.
	ProfileLimits = program.Limits
)

// ReadProfiles reads a document of profiles, in YAML or JSON. Config.Validate checks
// them.
func ReadProfiles(text []byte) ([]Profile, error) { return program.ReadProfiles(text) }

// PublicKey returns the JSON Web Key (RFC 7517) of a private key that a signs with. It
// returns an error of kind Invalid when a signs with none, or when key does not fit a.
func PublicKey(a domain.Auth, key domain.Secret) ([]byte, error) { return signin.PublicKey(a, key) }

// GenerateKey generates a key pair that signs with an algorithm such as RS384.
func GenerateKey(algorithm string) (domain.GeneratedKey, error) { return signin.GenerateKey(algorithm) }
