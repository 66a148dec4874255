package signin

import (
	"context"
	"crypto/md5" //nolint:gosec // RFC 7616 has it, and old servers nothing else
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"strings"
	"sync"

	"github.com/seed677028b5/integrations/connectors/callerror"
	"github.com/seed677028b5/integrations/domain"
)

// digests keeps the last challenge of each server, so that only the first call is made
// twice.
type digests struct{ challenges *lru[*challenge] }

// challenge is what a server asked for (RFC 7616, 3.3), and how often it was answered.
type challenge struct {
	realm, nonce, opaque, algorithm string
	qop                             bool // of auth; else as in RFC 2069

	mu    sync.Mutex
	count uint32
}

func newDigests() *digests { return &digests{challenges: newLRU[*challenge](maxTokens)} }

// authenticate answers the challenge of the server (RFC 7616). A request that is answered
// with one was not processed, so it is sent again, once.
func (d *digests) authenticate(_ context.Context, s signing) (*Credential, *callerror.Error) {
	key := cacheKey(s)
	var asked *challenge
	s.signEach(func(sent *http.Request, _ []byte) *callerror.Error {
		if c, ok := d.challenges.get(key); ok {
			sent.Header.Set("Authorization", c.answer(s.auth.Username, s.secret.Reveal(), sent.Method, sent.URL.RequestURI(), rand.Text()))
			s.addSignature(sent, "Authorization", `response="`)
		}
		return nil
	}, "Authorization")
	s.Request.Answered = func(status int, header http.Header) {
		if asked = nil; status == http.StatusUnauthorized {
			asked = readChallenge(header.Values("WWW-Authenticate"))
		}
	}
	return &Credential{renew: func(context.Context) *callerror.Error {
		if asked == nil {
			return &callerror.Error{Code: domain.CallAuthFailed, Sentence: "The upstream answered 401 without a digest challenge that can be answered: check the type of auth."}
		}
		d.challenges.put(key, asked)
		return nil
	}}, nil
}

var digestHashes = map[string]func() hash.Hash{"MD5": md5.New, "SHA-256": sha256.New, "SHA-512-256": sha512.New512_256}

// answer returns the header that answers a challenge (RFC 7616, 3.4).
func (c *challenge) answer(name, password, method, uri, nonce string) string {
	c.mu.Lock()
	c.count++
	count := fmt.Sprintf("%08x", c.count)
	c.mu.Unlock()
	algorithm, session := strings.CutSuffix(c.algorithm, "-sess")
	h := func(parts ...string) string {
		sum := digestHashes[algorithm]()
		_, _ = sum.Write([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(sum.Sum(nil))
	}
	a1 := h(name, c.realm, password)
	if session {
		a1 = h(a1, c.nonce, nonce)
	}
	fields := []string{
		"username=" + quoted(name), "realm=" + quoted(c.realm), "nonce=" + quoted(c.nonce), "uri=" + quoted(uri), "algorithm=" + c.algorithm,
	}
	response := h(a1, c.nonce, h(method, uri))
	if c.qop {
		response = h(a1, c.nonce, count, nonce, "auth", h(method, uri))
		fields = append(fields, "qop=auth", "nc="+count)
	}
	if c.qop || session {
		fields = append(fields, "cnonce="+quoted(nonce))
	}
	if c.opaque != "" {
		fields = append(fields, "opaque="+quoted(c.opaque))
	}
	return "Digest " + strings.Join(append(fields, "response="+quoted(response)), ", ")
}

func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// readChallenge returns the strongest digest challenge that can be answered, nil for none.
func readChallenge(headers []string) *challenge {
	var best *challenge
	strength := map[string]int{"MD5": 1, "SHA-512-256": 2, "SHA-256": 3}
	for _, header := range headers {
		for _, params := range digestChallenges(header) {
			c := &challenge{realm: params["realm"], nonce: params["nonce"], opaque: params["opaque"], algorithm: "MD5"}
			if name := params["algorithm"]; name != "" {
				base, session := strings.CutSuffix(strings.ToUpper(name), "-SESS")
				if c.algorithm = base; session {
					c.algorithm += "-sess"
				}
			}
			qop, given := params["qop"]
			for option := range strings.SplitSeq(qop, ",") {
				c.qop = c.qop || strings.TrimSpace(option) == "auth"
			}
			base, _ := strings.CutSuffix(c.algorithm, "-sess")
			if strength[base] == 0 || c.nonce == "" || given && !c.qop {
				continue
			}
			if best == nil || strength[base] > strength[strings.TrimSuffix(best.algorithm, "-sess")] {
				best = c
			}
		}
	}
	return best
}

// digestChallenges returns the parameters of each Digest challenge in a header, which may
// have those of other schemes too (RFC 9110, 11.6.1).
func digestChallenges(header string) []map[string]string {
	var all []map[string]string
	var present map[string]string
	for rest := header; rest != ""; {
		rest = strings.TrimLeft(rest, " \t,")
		end := strings.IndexAny(rest, "=, \t")
		if end < 0 {
			break
		}
		word := rest[:end]
		rest = strings.TrimLeft(rest[end:], " \t")
		if !strings.HasPrefix(rest, "=") || word == "" { // a scheme
			present = nil
			if strings.EqualFold(word, "Digest") {
				present = map[string]string{}
				all = append(all, present)
			}
			if word == "" {
				break
			}
			continue
		}
		var value string
		value, rest = readValue(strings.TrimLeft(rest[1:], " \t"))
		if present != nil {
			present[strings.ToLower(word)] = value
		}
	}
	return all
}

// readValue returns a token or a quoted string, and what follows it.
func readValue(text string) (value, rest string) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexAny(text, ", \t")
		if end < 0 {
			return text, ""
		}
		return text[:end], text[end:]
	}
	var b strings.Builder
	for n := 1; n < len(text); n++ {
		switch c := text[n]; {
		case c == '"':
			return b.String(), text[n+1:]
		case c == '\\' && n+1 < len(text):
			n++
			_ = b.WriteByte(text[n])
		default:
			_ = b.WriteByte(c)
		}
	}
	return b.String(), ""
}
