//! What do people say about a request while it is carried out? Comments on its pull request count, and those on the issue
//! that it came from: whoever asked there hears there what failed, and answers there.

use super::Job;
use crate::{
    domain::{Login, Pull},
    plan::{
        command::{self, Command, commands},
        facts::Looked,
    },
};

/// The commands about a merged request, oldest first.
pub(super) fn spoken<'a>(job: &'a Job<'_>, pull: &'a Pull) -> Looked<Vec<Command<'a>>> {
    let mut all = commands(&pull.remarks);
    let is_ours = pull.author.as_ref() == Some(&job.site.here.me);
    if let Some(number) = job.id.issue().filter(|_| is_ours)
        && let Ok(Some(issue)) = job.site.look.issue(number)?
    {
        all.extend(commands(&issue.remarks));
        all.sort_by_key(|command| command.at);
    }
    Ok(all)
}

/// Who took a merged request back by a comment.
pub(super) fn cancelled<'a>(job: &'a Job<'_>, pull: &'a Pull) -> Looked<Option<&'a Login>> {
    let all = spoken(job, pull)?.into_iter();
    let asked = all.filter(|command| command.word == "cancel" && Some(command.at) >= pull.merged_at);
    let found = command::newest_allowed(job.site, asked, &job.requesters)?;
    Ok(found.map(|command| command.by))
}
