package access

import (
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/domain"
)

// Find returns the key with an id that may act in a workspace, an operator's too. Who signed in
// with an OpenID provider is not among the keys.
func (k *Keys) Find(w domain.Workspace, id string) (Key, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	key := k.keys[id].key
	return key, key.ID != "" && key.MayEnter(w) && !key.Expired(k.now())
}

// Independent reports whether a key may decide about what the key with an id asked for in a
// workspace: whether nobody has both in hand. The one that asked, and those that it issued or
// rotated, never may. Neither may one that issued the one that asked, nor another one of the same
// issuer, unless the issuer is an administrator of the workspace, or was when it issued them: an
// administrator can do without approvals. Keys that were issued before that was kept are followed
// as far as those in between exist.
func (k *Keys) Independent(w domain.Workspace, decides Key, asked string) bool {
	asker, _ := k.Find(w, asked)
	asker.ID = asked
	ofAsker, ofDecider := k.hands(w, asker), k.hands(w, decides)
	if slices.Contains(ofDecider, asked) {
		return false
	}
	return !slices.ContainsFunc(ofAsker, func(id string) bool {
		return slices.Contains(ofDecider, id) && !k.administers(w, id, asker, decides)
	})
}

// administers reports whether the key with an id is an administrator's, or was when it saw one of
// some keys.
func (k *Keys) administers(w domain.Workspace, id string, seen ...Key) bool {
	for _, key := range seen {
		if slices.Contains(key.AdminHolders, id) || key.ID == id && key.May(Admin) {
			return true
		}
	}
	holder, known := k.Find(w, id)
	unrecorded := !slices.ContainsFunc(seen, func(key Key) bool { return key.AdminHolders != nil })
	return known && holder.May(Admin) || !known && unrecorded
}

// hands returns the ids of the keys that have seen a secret of a key: itself, and who issued or
// rotated it, or one of those.
func (k *Keys) hands(w domain.Workspace, key Key) []string {
	hands := key.HeldBy()
	all := append(k.List(w), k.List("")...)
	for range len(all) + 1 {
		by := key.CreatedBy
		if by == "" || by == bySystem {
			break
		}
		hands = withHolders(hands, []string{by})
		at := slices.IndexFunc(all, func(other Key) bool { return other.ID == by })
		if at < 0 {
			break
		}
		key = all[at]
	}
	return hands
}

// bySystem is who created the keys that were created on the machine of the service.
const bySystem = "system"

// IsSignedIn reports whether an id is of somebody who signed in with an OpenID provider.
func IsSignedIn(id string) bool { return strings.HasPrefix(id, SignedInPrefix) }
