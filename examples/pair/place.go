package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/go-sql-driver/mysql"
	amqp "github.com/rabbitmq/amqp091-go"
)

// ownPlace makes the environment name databases and an exchange that nobody else has,
// on the servers that it names. remove removes what was created there.
func ownPlace(ctx context.Context) (remove func() error, err error) {
	name := "pair_" + strings.ToLower(rand.Text()[:10])
	environment := map[string]string{"PAIR_EXCHANGE": name}
	var undo []func() error
	remove = func() error {
		errs := []error{withChannel(undeclare)}
		for _, f := range undo {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}
	for _, bank := range []string{north, south} {
		variable, own, err := inDatabase(bank, name)
		if err != nil {
			return nil, errors.Join(err, remove())
		}
		environment[variable] = own
		driver, err := openDatabase(bank)
		if err != nil {
			return nil, errors.Join(err, remove())
		}
		drop := "DROP DATABASE IF EXISTS " + name
		if bank == north {
			drop += " WITH (FORCE)" // it may not have noticed yet that a process was killed
		}
		undo = append(undo, func() error {
			_, err := driver.DB().Exec(drop)
			return errors.Join(err, driver.Close())
		})
		if _, err := driver.DB().ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", bank, err), remove())
		}
	}
	for variable, value := range environment {
		if err := os.Setenv(variable, value); err != nil {
			return nil, errors.Join(err, remove())
		}
	}
	return remove, nil
}

// inDatabase returns what the variable for the database of a bank must be to name another
// database on the same server.
func inDatabase(bank, name string) (variable, value string, err error) {
	if bank == north {
		server, err := required(northVariable)
		if err != nil {
			return "", "", err
		}
		u, err := url.Parse(server)
		if err != nil {
			return "", "", errors.New(northVariable + ": want postgres://user:password@host:port/database") // the error may show the password
		}
		u.Path = "/" + name
		return northVariable, u.String(), nil
	}
	server, err := required(southVariable)
	if err != nil {
		return "", "", err
	}
	cfg, err := mysql.ParseDSN(server)
	if err != nil {
		return "", "", errBadDSN
	}
	cfg.DBName = name
	return southVariable, cfg.FormatDSN(), nil
}

// undeclare deletes what declare declares.
func undeclare(ch *amqp.Channel) error {
	errs := []error{ch.ExchangeDelete(exchange(), false, false)}
	for _, name := range []string{north, south} {
		for _, q := range []string{queue(name), queue(name) + ".dead"} {
			_, err := ch.QueueDelete(q, false, false, false)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
