// Package signalweb is a page for whoever is on call, and the JSON API behind it: what
// is pending, what is stuck, why and since when. [Handler] serves both for a bus:
//
//	mux.Handle("/signalbus/", http.StripPrefix("/signalbus", signalweb.Handler(bus,
//		signalweb.Authorize(func(r *http.Request) signalweb.Access {
//			if isAdmin(r) {
//				return signalweb.Full
//			}
//			return signalweb.None
//		}))))
//
// The command "signalbus run --listen" serves them too.
//
// By default it only shows, and shows no field of a message. [Authorize] or [Token]
// allow actions: retry, discard and flush. Everybody who may read sees the names of
// signal types, the ids of messages and the texts of errors.
//
// Each page that is open in a browser with JavaScript keeps a request open, for its
// updates. [net/http.Server.Shutdown] waits for these requests, so limit its time and call
// Close afterwards, or end their contexts.
//
// The page needs no JavaScript, and loads nothing from elsewhere. Counts are those of
// the database, up to 10,000 of each kind; they are asked for once for all who look.
// Rates and errors are those of this process.
package signalweb
