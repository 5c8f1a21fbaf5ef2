// Package git runs the git command: for the product there is no other way to it.
//
// It owns how git is run, with the user's credentials and with no program that a configuration or a repository names; what a
// remote may be; and bare clones of remotes. What remotes send is their owners' word and may be hostile. It must not know
// what is in a repository, nor which ones are pinned.
package git
