package docs

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/docs/ent"
)

func TestPageBehindALoginOfTheProgram(t *testing.T) {
	t.Parallel()
	bus, err := ent.NewSignalBus(ent.SignalSenders{}, entsignal.WithMissingSenders())
	require.NoError(t, err)
	mux := http.NewServeMux()
	servePage(mux, bus, func(r *http.Request) string { return r.Header.Get("X-Role") })
	for role, want := range map[string][2]int{"admin": {200, 503}, "support": {200, 403}, "": {403, 403}} {
		ask := func(method, path string) int {
			r := httptest.NewRequest(method, "/ops/signals/"+path, nil)
			r.Header.Set("X-Role", role)
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			return w.Code
		}
		assert.Equal(t, want, [2]int{ask(http.MethodGet, "relay"), ask(http.MethodPost, "api/v1/signals/"+bus.Signals()[0].Name+"/flush")}, "%q; 503: the bus has no client here", role)
	}
}
