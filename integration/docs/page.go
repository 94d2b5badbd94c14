package docs

import (
	"net/http"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/signalweb"
)

// servePage adds the page to what a program serves. role returns who asks.
func servePage(mux *http.ServeMux, bus *entsignal.Bus, role func(*http.Request) string) {
	// snippet: page
	page := signalweb.Handler(bus, signalweb.Authorize(func(r *http.Request) signalweb.Access {
		switch role(r) {
		case "admin":
			return signalweb.Full
		case "support":
			return signalweb.ReadOnly
		default:
			return signalweb.None
		}
	}))
	mux.Handle("/ops/signals/", http.StripPrefix("/ops/signals", page))
	// end snippet
}
