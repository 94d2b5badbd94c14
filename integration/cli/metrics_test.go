package cli

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/integration/internal/promtest"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

func TestRelayServesItsMetrics(t *testing.T) {
	t.Parallel()
	db, client := shopOn(t, testdb.PostgreSQL)
	s := serve(t, db, envFail+"=InvoiceIssued")
	client.AuditLogged.MapCreateBulk(make([]struct{}, 3), func(c *ent.AuditLoggedCreate, i int) { c.SetNumber(i) }).ExecX(t.Context())
	client.InvoiceIssued.Create().SetNumber(1).ExecX(t.Context())
	const sent = `entsignal_sent_total{signal="AuditLogged",mode="flushmany"}`
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		status, body := s.get(t, "/metrics")
		assert.Equal(t, http.StatusOK, status)
		assert.Contains(t, body, sent+" 3\n")
		assert.Contains(t, body, `entsignal_pending{signal="InvoiceIssued"} 1`+"\n")
		assert.Contains(t, body, `entsignal_pending{signal="AuditLogged"} 0`+"\n")
	}, 30*time.Second, 10*time.Millisecond)
	_, body := s.get(t, "/metrics")
	assert.Empty(t, promtest.Promtool(t, "", body+"\n", "check", "metrics"), "nothing to complain of")
	assert.Equal(t, promtest.Samples{sent: 3}, promtest.Parse(t, body).Of("entsignal_sent_total"))
	resp, err := http.Post(s.url+"/metrics", "text/plain", nil)
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
}

func TestMetricsOfTheDatabaseAreLeftOutWhileItIsAwayAndTheOthersStay(t *testing.T) {
	t.Parallel()
	db, _ := shopOn(t, testdb.PostgreSQL)
	behind, proxy := db.Through(t)
	proxy.BlackHole(true)
	s := serve(t, behind, envTimeout+"=500ms")
	status, body := s.get(t, "/metrics")
	require.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, `entsignal_sent_total{signal="AuditLogged",mode="flushmany"} 0`+"\n")
	assert.Contains(t, body, "# TYPE entsignal_pending gauge\n")
	assert.NotContains(t, body, "\nentsignal_pending{")
	proxy.BlackHole(false)
	proxy.Cut()
}
