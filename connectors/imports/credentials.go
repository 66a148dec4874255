package imports

import (
	"regexp"
	"strings"
)

// secretName matches names of what is a credential, as words of the name.
var secretName = regexp.MustCompile(`(?i)(^|[^a-z])(authorization|auth[-_]?token|access[-_]?token|refresh[-_]?token|id[-_]?token|bearer|token|jwt|api[-_]?key|apikey|app[-_]?key|appid|app[-_]?id|access[-_]?key|secret|client[-_]?secret|password|passwd|passphrase|pwd|private[-_]?key|signature|sig|x-amz-[a-z-]*|session|session[-_]?id|sessionid|sid|csrf[-_a-z]*|xsrf[-_a-z]*|cookie|credential|credentials|subscription[-_]?key|pin|otp|assertion|code[-_]?verifier)($|[^a-z])`)

// hump is where a name in camel case has its next word.
var hump = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// isSecretName reports whether a name is one of a credential.
func isSecretName(name string) bool {
	name = hump.ReplaceAllString(name, "${1}_$2")
	switch strings.ToLower(name) {
	case "page_token", "next_token", "continuation_token", "nexttoken", "pagetoken", "next_page_token", "sync_token", "max_tokens", "token_type", "token_type_hint", "tokens", "idempotency-key", "idempotency_key":
		return false
	}
	return secretName.MatchString(name)
}

// secretValue matches values that are credentials by how they begin.
var secretValue = regexp.MustCompile(`(?i)^(bearer |basic |token |apikey |digest |negotiate |aws4-)|^(sk|rk|pk|whsec)_[a-z0-9]|^sk-|^gh[opusr]_|^github_pat_|^glpat-|^xox[a-z]-|^xapp-|^A(K|S)IA[A-Z0-9]{12}|^AIza|^ya29\.|^ey[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.|^SG\.|^shp[a-z]{2}_|^npm_|^hf_|^dop_v1_|^key-[0-9a-f]|^pat[A-Za-z0-9]{10}|^-----BEGIN|^secret_|^ntn_|^lin_api_|^bot[0-9]+:`)

var (
	uuid     = regexp.MustCompile(`(?i)^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	secretly = regexp.MustCompile(`^[A-Za-z0-9+/=_~.:-]{20,}$`)
)

// isSecret reports whether a value is, or may well be, a credential: by how it begins, or
// because it is long and looks random.
func isSecret(value string) bool {
	value = strings.TrimSpace(value)
	if secretValue.MatchString(value) {
		return true
	}
	if !secretly.MatchString(value) || uuid.MatchString(value) || strings.Contains(value, "://") {
		return false
	}
	return looksRandom(value)
}

// looksRandom reports whether a text has at least three digits and changes between
// letters, digits and cases as often as no words do.
func looksRandom(s string) bool {
	class := func(c byte) int {
		switch {
		case '0' <= c && c <= '9':
			return 1
		case 'a' <= c && c <= 'z':
			return 2
		case 'A' <= c && c <= 'Z':
			return 3
		}
		return 0
	}
	digits, changes := 0, 0
	for n := range len(s) {
		if class(s[n]) == 1 {
			digits++
		}
		if n > 0 && class(s[n]) != 0 && class(s[n-1]) != 0 && class(s[n]) != class(s[n-1]) {
			changes++
		}
	}
	return digits >= 3 && changes*5 >= len(s)
}
