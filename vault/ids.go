package vault

import (
	"context"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
)

// IDs returns which secrets the vault has of an owner, of all of a workspace when the owner has no
// ID. They have no data.
func (v *Vault) IDs(ctx context.Context, o domain.Owner) ([]Stored, error) {
	id := string(o.ID)
	if id == "" {
		id = "*"
	}
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	stream, err := v.js.Stream(ctx, streamName)
	if err != nil {
		return nil, unavailable(err, "list secrets")
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(subjectPrefix+string(o.Workspace)+"."+id+".*"))
	if err != nil {
		return nil, unavailable(err, "list secrets")
	}
	var all []Stored
	for of := range info.State.Subjects {
		parts := strings.Split(of, ".")
		all = append(all, Stored{Owner: domain.Owner{Workspace: domain.Workspace(parts[1]), ID: domain.ID(parts[2])}, ID: parts[3]})
	}
	slices.SortFunc(all, func(a, b Stored) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}
