package oidcauth_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/access/oidcauth"
	"github.com/seed677028b5/integrations/domain"
)

const ops = `
audience: integrations
grants:
  - when: {groups: platform-admins}
    workspaces: ["*"]
    permissions: [Workspace.admin]
  - when: {groups: "team-*"}
    workspaces: ["{1}"]
    permissions: [Integration.view, Integration.invoke]
    tools: ["crm__get_*"]
  - when: {realm_access.roles: [auditor, reviewer], email_verified: true}
    workspaces: [acme, beta]
    permissions: [Integration.view]
    key_days: 30
  - when: {scope: "integrations:*", "https://example.com/site": "*-*"}
    workspaces: ["site-{3}-{2}"]
    permissions: [Integration.view]
  - when: {scope: "invoke", tenant: t1}
    workspaces: [acme]
    permissions: [Integration.invoke]
actor: email
`

func TestTheFirstGrantThatMatchesDecides(t *testing.T) {
	p := startProvider(t)
	by := p.publish("k1")
	o := p.open(t, ops)
	for name, row := range map[string]struct {
		claims      members
		enters, not []domain.Workspace
		permissions []access.Permission
		tools       []string
	}{
		"a group":                       {members{"groups": []string{"x", "platform-admins"}}, []domain.Workspace{"acme", "any"}, nil, []access.Permission{access.Admin}, nil},
		"a group as a text":             {members{"groups": "team-a"}, []domain.Workspace{"a"}, []domain.Workspace{"b"}, []access.Permission{access.View, access.Invoke}, []string{"crm__get_*"}},
		"two teams":                     {members{"groups": []string{"team-a", "team-b"}}, []domain.Workspace{"a", "b"}, []domain.Workspace{"acme"}, []access.Permission{access.View, access.Invoke}, []string{"crm__get_*"}},
		"two grants":                    {members{"groups": []string{"team-a", "platform-admins"}}, []domain.Workspace{"acme"}, nil, []access.Permission{access.Admin}, nil},
		"a group with a dangerous name": {members{"groups": []string{"team-*", "team-", "team-../x", "team-{1}", "team-ok"}}, []domain.Workspace{"ok"}, []domain.Workspace{"", "*", "x"}, []access.Permission{access.View, access.Invoke}, []string{"crm__get_*"}},
		"a nested claim":                {members{"realm_access": members{"roles": []string{"reviewer"}}, "email_verified": true}, []domain.Workspace{"acme", "beta"}, []domain.Workspace{"a"}, []access.Permission{access.View}, nil},
		"scopes, and a name with dots":  {members{"scope": "openid integrations:all", "https://example.com/site": "north-2"}, []domain.Workspace{"site-2-north"}, []domain.Workspace{"north"}, []access.Permission{access.View}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			row.claims["email"] = "amy@example.com"
			key, err := o.Authenticate(t.Context(), by.sign(t, p.claims(o.clock.now(), row.claims)), "/")
			require.NoError(t, err)
			require.Equal(t, "oidc:amy@example.com", key.ID)
			require.Equal(t, "amy", key.SignedIn.Subject)
			require.Equal(t, row.permissions, key.Permissions)
			require.Equal(t, row.tools, key.Tools)
			require.False(t, key.Operator())
			require.Equal(t, o.clock.now().Add(5*time.Minute).Unix(), key.ExpiresAt.Unix())
			for _, w := range row.enters {
				require.True(t, key.MayEnter(w), w)
			}
			for _, w := range row.not {
				require.False(t, key.MayEnter(w), w)
			}
		})
	}
	for name, claims := range map[string]members{
		"no claim that counts":             {"groups": "Platform-Admins", "email": "a"},
		"one of two conditions":            {"realm_access": members{"roles": "auditor"}, "email_verified": false, "email": "a"},
		"no group that names a workspace":  {"groups": []string{"team-", "team-*"}, "email": "a"},
		"a part of a name":                 {"groups": "xplatform-admins", "email": "a"},
		"nobody who acts":                  {"groups": "platform-admins"},
		"somebody who can't be written":    {"groups": "platform-admins", "email": "a\nb"},
		"several who act":                  {"groups": "platform-admins", "email": []string{"a", "b"}},
		"somebody with spaces at the edge": {"groups": "platform-admins", "email": " a"},
		"somebody who reads like another":  {"groups": "platform-admins", "email": "amy\u202egpj.exe"},
	} {
		key, err := o.Authenticate(t.Context(), by.sign(t, p.claims(o.clock.now(), claims)), "/")
		refused(t, err, domain.Forbidden, "no_grant")
		require.False(t, key.MayEnter("acme"), name)
		require.Empty(t, key.Permissions, name)
	}
	_, err := o.Authenticate(t.Context(), by.sign(t, p.claims(o.clock.now(), members{"email": "amy@example.com", "groups": "secret-group"})), "/")
	require.ErrorContains(t, err, `"aud", "email", "exp", "groups", "iat", "iss", "sub"`)
	require.NotContains(t, err.Error(), "secret-group")
	require.NotContains(t, err.Error(), "amy@")
}

func TestAGrantLimitsWhomATokenActsFor(t *testing.T) {
	p := startProvider(t)
	by := p.publish("k1")
	o := p.open(t, `
audience: integrations
grants:
  - when: {sub: "*", groups: "team-*"}
    workspaces: [acme]
    permissions: [Integration.invoke, Connection.use]
    subjects: ["{1}", "{2}/*"]
  - when: {groups: agents}
    workspaces: [acme]
    permissions: [Integration.invoke, Connection.use]
    subjects: ["user-*", "-"]
`)
	for name, row := range map[string]struct {
		claims   members
		subjects []string // nil: no grant
	}{
		"themselves, and those of their teams":        {members{"sub": "amy", "groups": []string{"team-a", "team-b"}}, []string{"amy", "a/*", "b/*"}},
		"those that are named":                        {members{"groups": "agents"}, []string{"user-*", "-"}},
		"nobody by a subject that would be a pattern": {members{"sub": "a*", "groups": "team-x"}, []string{"x/*"}},
		"nobody by a subject that is everybody":       {members{"sub": "*", "groups": "team-*"}, nil},
		"not the workspace itself by its name":        {members{"sub": "-", "groups": "team-x"}, []string{"x/*"}},
	} {
		t.Run(name, func(t *testing.T) {
			key, err := o.Authenticate(t.Context(), by.sign(t, p.claims(o.clock.now(), row.claims)), "/")
			if row.subjects == nil {
				refused(t, err, domain.Forbidden, "no_grant")
				return
			}
			require.NoError(t, err)
			require.Equal(t, row.subjects, key.Subjects)
		})
	}
}

func TestAScopeThatWouldHelpIsNamed(t *testing.T) {
	p := startProvider(t)
	by := p.publish("k1")
	o := p.open(t, ops)
	key, err := o.Authenticate(t.Context(), by.sign(t, p.claims(o.clock.now(), members{"tenant": "t1", "email": "a", "scope": "openid"})), "/")
	refused(t, err, domain.Forbidden, "no_grant")
	require.Equal(t, "invoke", key.SignedIn.MissingScope(access.Invoke))
	require.Empty(t, key.SignedIn.MissingScope(access.Admin))
	require.Equal(t, []string{"openid"}, key.SignedIn.Scopes)
	key, err = o.Authenticate(t.Context(), by.sign(t, p.claims(o.clock.now(), members{"tenant": "t2", "email": "a"})), "/")
	refused(t, err, domain.Forbidden, "no_grant")
	require.Empty(t, key.SignedIn.MissingScope(access.Invoke), "no scope would help")
	key, err = o.Authenticate(t.Context(), by.sign(t, p.claims(o.clock.now(), members{"tenant": "t1", "groups": "team-a", "email": "a"})), "/")
	require.NoError(t, err)
	require.Empty(t, key.SignedIn.MissingScope(access.Update), "an earlier grant decides")
	require.Equal(t, []string{"invoke"}, o.Scopes())
}

func TestAGrantMayPermitKeysThatOutliveTheToken(t *testing.T) {
	p := startProvider(t)
	by := p.publish("k1")
	o := p.open(t, ops)
	now := o.clock.now()
	key, err := o.Authenticate(t.Context(), by.sign(t, p.claims(now, members{"email": "a", "email_verified": true, "realm_access": members{"roles": "auditor"}})), "/")
	require.NoError(t, err)
	require.Equal(t, now.AddDate(0, 0, 30), key.IssuesUntil(now))
	key, err = o.Authenticate(t.Context(), by.sign(t, p.claims(now, members{"email": "a", "groups": "team-a"})), "/")
	require.NoError(t, err)
	require.Equal(t, key.ExpiresAt, key.IssuesUntil(now))
}

func TestAFileIsReadStrictly(t *testing.T) {
	grant := func(text string) string { return "grants:\n  - " + text }
	for text, want := range map[string]string{
		"":           "no documents",
		"grants: []": "/grants: must be a list",
		"grants: [a": "at L1",
		"grant: []":  "field grant not found",
		"issuer: http://a.example\n" + grant("{when: {}, workspaces: [a], permissions: [Integration.view]}"): "/issuer: must be an https URL",
		grant("{when: {}, workspaces: [a], permissions: [Integration.view], tool: [x__y]}"):                  "field tool not found",
		grant("{workspaces: [a], permissions: [Integration.view]}"):                                          "/grants/0/when: must have a pattern",
		grant("{when: {}, permissions: [Integration.view]}"):                                                 "/grants/0/workspaces: is required",
		grant("{when: {}, workspaces: [a]}"):                                                                 "/grants/0/permissions: is required",
		grant("{when: {}, workspaces: [a], permissions: []}"):                                                "/grants/0/permissions: must have 1 to 100",
		grant("{when: {}, workspaces: [a], permissions: [Integration.fly]}"):                                 `/grants/0/permissions/0: "Integration.fly" is not a permission`,
		grant("{when: {}, workspaces: [a], permissions: [Integration.view], tools: []}"):                     "/grants/0/tools: must have 1 to 100",
		grant("{when: {}, workspaces: [a], permissions: [Integration.view], tools: null}"):                   "/grants/0/tools",
		grant("{when: {}, workspaces: [a], permissions: [Integration.view], tools:}"):                        "/grants/0/tools",
		grant("{when: {}, workspaces: [a], permissions: [Integration.view], tools: [crm]}"):                  "/grants/0/tools/0: must be an integration and an endpoint",
		grant("{when: {}, workspaces: [a], permissions: [Integration.view], methods: [get]}"):                "/grants/0/methods/0: must be GET",
		grant("{when: {}, workspaces: [a], permissions: [Workspace.admin], tools: [x__y]}"):                  "/grants/0/permissions: a key with the permission Workspace.admin can't be narrowed",
		grant("{when: {}, workspaces: [a b], permissions: [Integration.view]}"):                              "/grants/0/workspaces/0: must be a workspace",
		grant("{when: {}, workspaces: ['a*'], permissions: [Integration.view]}"):                             "/grants/0/workspaces/0: must be a workspace",
		grant("{when: {groups: 'a'}, workspaces: ['{1}'], permissions: [Integration.view]}"):                 "/grants/0/workspaces/0: {1} stands for a * of when, which has 0",
		grant("{when: {groups: 'a*'}, workspaces: ['{2}'], permissions: [Integration.view]}"):                "/grants/0/workspaces/0: {2} stands for a * of when, which has 1",
		grant("{when: {groups: ['a*', b]}, workspaces: ['{1}'], permissions: [Integration.view]}"):           "/grants/0/when/groups: all patterns of a claim must have the same number of *",
		grant("{when: {groups: [], a: b}, workspaces: [a], permissions: [Integration.view]}"):                "/grants/0/when/groups: must have 1 to 100",
		grant("{when: {groups: null}, workspaces: [a], permissions: [Integration.view]}"):                    "/grants/0/when/groups",
		grant("{when: {groups: {a: b}}, workspaces: [a], permissions: [Integration.view]}"):                  "/grants/0/when/groups: must be a text",
		grant("{when: {a: b, a: c}, workspaces: [a], permissions: [Integration.view]}"):                      "/grants/0/when/a: is there twice",
		grant("{when: {}, workspaces: [a], permissions: [Integration.view], subjects: ['a*b']}"):             "/grants/0/subjects/0: must be a subject",
		grant("{when: {a: b}, workspaces: [a], permissions: [Integration.view], subjects: ['{1}']}"):         "/grants/0/subjects/0: {1} stands for a * of when, which has 0",
		grant("{when: {}, workspaces: [a], permissions: [Workspace.admin], subjects: [a]}"):                  "/grants/0/permissions: a key with the permission Workspace.admin can't be narrowed",
		grant("{when: {}, workspaces: [a], permissions: [Integration.view], key_days: 4000}"):                "/grants/0/key_days: must be a number from 0 to 3650",
	} {
		_, err := oidcauth.ReadMapping([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
	m, err := oidcauth.ReadMapping([]byte(ops))
	require.NoError(t, err)
	require.Equal(t, []string{"integrations"}, m.Audience)
	_, err = oidcauth.ReadMapping([]byte("grants:\n  - when: {}\n    workspaces: [a b]\n    permissions: [x]\n"))
	require.ErrorContains(t, err, "line 3: /grants/0/workspaces/0")
	require.ErrorContains(t, err, "line 4: /grants/0/permissions/0")
}

func TestABrokenFileLeavesThePreviousOneInForce(t *testing.T) {
	p := startProvider(t)
	by := p.publish("k1")
	o := p.open(t, everybody)
	may := func() bool {
		key, err := o.Authenticate(t.Context(), by.sign(t, p.claims(o.clock.now(), nil)), "/")
		return err == nil && key.MayEnter("acme") && key.May(access.View)
	}
	write := func(text string) uint64 {
		require.NoError(t, os.WriteFile(o.file, []byte(text), 0o600))
		before := o.Changes()
		o.Reload(t.Context())
		o.Reload(t.Context())
		return o.Changes() - before
	}
	require.True(t, may())
	require.Zero(t, write("grants: [{when: {}, workspace: [other], permissions: [Integration.view]}]"))
	require.True(t, may())
	require.Contains(t, o.Status().FileProblem, "workspace not found")
	require.Contains(t, o.log.String(), "the previous ones stay in force")
	require.Zero(t, write("issuer: https://other.example.com\n"+everybody), "the flag names another")
	require.Contains(t, o.Status().FileProblem, "differs from --oidc-issuer")

	require.NoError(t, os.Remove(o.file))
	o.Reload(t.Context())
	require.True(t, may())
	require.NotEmpty(t, o.Status().FileProblem)

	require.EqualValues(t, 1, write("grants: [{when: {}, workspaces: [other], permissions: [Integration.view]}]"))
	require.False(t, may())
	require.Empty(t, o.Status().FileProblem)
	require.Equal(t, 1, p.requests(), "the keys of the issuer stay known")
}
