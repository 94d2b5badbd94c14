// Package entsignaltest helps to test programs that use a signal bus.
//
// [Senders] makes a recording sender for each signal of a project, and
// [One], [Sent], [None] and [Eventually] look at what was sent:
//
//	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
//	bus, err := ent.NewSignalBus(senders, outbox.Option())
//	...
//	placed := entsignaltest.One[*ent.OrderPlaced](outbox)
//
// [FailWhere], [FailNth], [Away], [Hang], [Panic] and [LoseConfirm] make these
// senders fail on demand, and [Driver] the database. [TestSender] and
// [TestDatabase] are the contracts of a sender and of a database, for those who
// write or choose one.
//
// The package imports testing, so only tests should import it. It doesn't link
// an assertion library.
package entsignaltest
