package kms

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// awsCredentials finds the credentials of this process, in the order of the SDKs of AWS: the
// variables, a web identity (EKS with IAM roles for service accounts), a container (ECS, EKS Pod
// Identity).
type awsCredentials struct {
	getenv      func(string) string
	region, sts string
	client      *http.Client
	now         func() time.Time

	mu   sync.Mutex
	kept awsIdentity
}

// awsIdentity signs requests.
type awsIdentity struct {
	id, secret, session string
	expires             time.Time // zero: never
}

// renewBefore is how long before their end credentials are fetched again.
const renewBefore = 5 * time.Minute

func (c *awsCredentials) current() (awsIdentity, error) {
	if id := c.getenv("AWS_ACCESS_KEY_ID"); id != "" {
		return awsIdentity{id: id, secret: c.getenv("AWS_SECRET_ACCESS_KEY"), session: c.getenv("AWS_SESSION_TOKEN")}, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept.id != "" && c.now().Before(c.kept.expires.Add(-renewBefore)) {
		return c.kept, nil
	}
	var err error
	switch {
	case c.getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "":
		c.kept, err = c.ofWebIdentity()
	case c.getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI") != "" || c.getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != "":
		c.kept, err = c.ofContainer()
	default:
		err = errors.New("no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the container a role")
	}
	return c.kept, err
}

// ofWebIdentity exchanges the token of a service account (STS, AssumeRoleWithWebIdentity).
func (c *awsCredentials) ofWebIdentity() (awsIdentity, error) {
	token, err := os.ReadFile(c.getenv("AWS_WEB_IDENTITY_TOKEN_FILE"))
	if err != nil {
		return awsIdentity{}, fmt.Errorf("AWS_WEB_IDENTITY_TOKEN_FILE: %w", err)
	}
	form := url.Values{
		"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {c.getenv("AWS_ROLE_ARN")},
		"RoleSessionName": {"integrations"}, "WebIdentityToken": {strings.TrimSpace(string(token))},
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, strings.TrimSuffix(c.sts, "/")+"/", strings.NewReader(form.Encode()))
	if err != nil {
		return awsIdentity{}, errors.New("the endpoint of STS is no URL")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	body, err := exchange(c.client, r, "assume the role of AWS_ROLE_ARN")
	if err != nil {
		return awsIdentity{}, err
	}
	var answer struct {
		Credentials struct {
			AccessKeyID     string `xml:"AccessKeyId"`
			SecretAccessKey string
			SessionToken    string
			Expiration      time.Time
		} `xml:"AssumeRoleWithWebIdentityResult>Credentials"`
	}
	if err := xml.Unmarshal(body, &answer); err != nil || answer.Credentials.AccessKeyID == "" {
		return awsIdentity{}, errors.New("assume the role of AWS_ROLE_ARN: the answer has no credentials")
	}
	is := answer.Credentials
	return awsIdentity{is.AccessKeyID, is.SecretAccessKey, is.SessionToken, is.Expiration}, nil
}

// ofContainer asks the endpoint of the container, which is on this machine or of the agent of the node.
func (c *awsCredentials) ofContainer() (awsIdentity, error) {
	target := c.getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")
	if relative := c.getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); relative != "" {
		target = "http://169.254.170.2" + relative
	}
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "https" && !isLoopback(u.Host) && !slices.Contains([]string{"169.254.170.2", "169.254.170.23", "fd00:ec2::23"}, u.Hostname()) {
		return awsIdentity{}, errors.New("AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or of the container")
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, target, nil)
	if err != nil {
		return awsIdentity{}, errors.New("AWS_CONTAINER_CREDENTIALS_FULL_URI is no URL")
	}
	token := c.getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN")
	if file := c.getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); file != "" {
		text, err := os.ReadFile(file) //nolint:gosec // the operator names it
		if err != nil {
			return awsIdentity{}, fmt.Errorf("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: %w", err)
		}
		token = strings.TrimSpace(string(text))
	}
	if token != "" {
		r.Header.Set("Authorization", token)
	}
	var is struct {
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string
		Token           string
		Expiration      time.Time
	}
	if err := do(c.client, r, "credentials of the container", &is); err != nil {
		return awsIdentity{}, err
	}
	return awsIdentity{is.AccessKeyID, is.SecretAccessKey, is.Token, is.Expiration}, nil
}

// sign signs a request to KMS, whose path is / and which has no query (AWS Signature Version 4).
func (i awsIdentity) sign(r *http.Request, body []byte, region string, at time.Time) {
	date := at.UTC().Format("20060102T150405Z")
	r.Header.Set("X-Amz-Date", date)
	if i.session != "" {
		r.Header.Set("X-Amz-Security-Token", i.session)
	}
	signed := map[string]string{"host": r.URL.Host}
	for name := range r.Header {
		signed[strings.ToLower(name)] = r.Header.Get(name)
	}
	names := slices.Sorted(maps.Keys(signed))
	var headers strings.Builder
	for _, name := range names {
		headers.WriteString(name + ":" + signed[name] + "\n")
	}
	digest := sha256.Sum256(body)
	list := strings.Join(names, ";")
	canonical := sha256.Sum256([]byte(strings.Join([]string{r.Method, "/", "", headers.String(), list, hex.EncodeToString(digest[:])}, "\n")))
	scope := strings.Join([]string{date[:8], region, "kms", "aws4_request"}, "/")
	key := []byte("AWS4" + i.secret)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	signature := mac(key, "AWS4-HMAC-SHA256\n"+date+"\n"+scope+"\n"+hex.EncodeToString(canonical[:]))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+i.id+"/"+scope+", SignedHeaders="+list+", Signature="+hex.EncodeToString(signature))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
