//! The commands, each in a file of its own.

mod check;
mod copy;
mod delete;
mod init;
mod list;
mod purge;
mod show;
mod stats;

use crate::arguments::{Command, Invocation, Place};
use crate::failure::Failure;
use crate::located::Located;
use crate::options;
use crate::output::Output;
use crate::owner::become_owner;
use crate::stores::{self, Access, Opened};

/// Does what a command line says.
pub fn run(invocation: &Invocation) -> Result<(), Failure> {
    let mut out = Output::new(invocation.json);
    let done = dispatch(&mut out, &invocation.command, &invocation.place);
    let flushed = out.flush();
    done.and(flushed)
}

fn dispatch(out: &mut Output, command: &Command, place: &Place) -> Result<(), Failure> {
    match command {
        Command::Help => out.line(options::help().trim_end()),
        Command::Version => out.line(concat!("htsession ", env!("CARGO_PKG_VERSION"))),
        Command::List { filter, every } => {
            let (located, opened) = open(place, Access::Read)?;
            list::run(out, &opened, &located, filter, *every)
        }
        Command::Show { session, scope, values } => {
            let (located, opened) = open(place, Access::Read)?;
            show::run(out, &opened, &located, session, scope.as_deref(), *values)
        }
        Command::Delete(which) => {
            let (located, opened) = open(place, Access::Delete)?;
            delete::run(out, &opened, &located, which)
        }
        Command::Purge { unvisited_for } => {
            let (located, opened) = open(place, Access::Change)?;
            purge::run(out, &opened, located.grace(), *unvisited_for)
        }
        Command::Stats => stats::run(out, &open(place, Access::Read)?.1),
        Command::Check => check::run(out, &open(place, Access::Read)?.1),
        Command::Copy { from, to, replace } => copy::run(out, place, from.as_deref(), to, *replace),
        Command::Init => init::run(out, place),
    }
}

/// Finds the store, becomes its owner and opens it.
fn open(place: &Place, access: Access) -> Result<(Located, Opened), Failure> {
    if place.store.is_none() && (place.data_dir.is_some() || !place.dbm_types.is_empty()) {
        return Err(Failure::usage(
            "--data-dir and --dbm-type go with --store: httpd knows its own",
        ));
    }
    let located = Located::find(place)?;
    let kind = stores::kind(&located)?;
    become_owner(kind.owner()?)?;
    let opened = kind.open(access)?;
    Ok((located, opened))
}
