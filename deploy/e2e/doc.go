// Package e2e proves the whole from outside: real programs, real sockets, mutual
// TLS, gRPC and REST, processes that are killed and links that are cut. It has
// no code but tests; the README says how to run them and how to add a case.
package e2e
