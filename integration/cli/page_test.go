package cli

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/integration/internal/testdb"
)

// post sends a request with a token and returns the status.
func (s *service) post(t *testing.T, path, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, strings.NewReader(`{"all":true}`))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

func TestRelayServesThePageAndActsOnlyWithAToken(t *testing.T) {
	t.Parallel()
	const token = "correct-horse-battery-staple"
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(token+"\n"), 0o600))
	for name, test := range map[string]struct {
		env                  []string
		without, with, signs int
	}{
		"none":     {nil, 403, 403, 404},
		"variable": {[]string{"SIGNALBUS_ADMIN_TOKEN=" + token}, 401, 200, 401},
		"file":     {[]string{"SIGNALBUS_ADMIN_TOKEN_FILE=" + file}, 401, 200, 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, client := shopOn(t, testdb.SQLite)
			client.AuditLogged.Create().SetNumber(1).ExecX(t.Context())
			s := serve(t, db, test.env...)
			s.tells(t, "READY=1")
			status, body := s.get(t, "/")
			assert.Equal(t, http.StatusOK, status)
			assert.Contains(t, body, "AuditLogged")
			status, body = s.get(t, "/relay")
			assert.Equal(t, http.StatusOK, status)
			assert.Contains(t, body, "It runs in this process")
			status, _ = s.get(t, "/sign-in")
			assert.Equal(t, test.signs, status)
			assert.Equal(t, test.without, s.post(t, "/api/v1/signals/AuditLogged/flush", ""))
			assert.Equal(t, test.with, s.post(t, "/api/v1/signals/AuditLogged/flush", token))
			events, err := http.Get(s.url + "/api/v1/events")
			require.NoError(t, err)
			defer events.Body.Close()
			assert.Less(t, s.stop(t), 20*time.Second, "an open stream holds nothing up")
			assert.NotContains(t, s.log.String(), token)
		})
	}
}
