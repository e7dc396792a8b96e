//! What runs on the forge when somebody takes a run back?

use super::Course;
use crate::{
    domain::StepState,
    plan::{
        facts::{Looked, WorkflowRun},
        plan_file::Does,
        step::{Attempt, Backend, Outcome, Step, Work},
    },
};

impl Course<'_> {
    /// Stops the workflows that run. Whether one of them still does: it is asked once a pass until it has ended.
    pub(super) fn stop(&mut self) -> Looked<bool> {
        let plan = self.merged.plan;
        let mut runs = false;
        for step in &plan.steps {
            let (Some(Does::Workflow(workflow)), Some(mut record)) =
                (step.does(), self.records.get(&step.id).cloned())
            else {
                continue;
            };
            let (StepState::Waiting, Some(run)) = (record.state, record.external_id) else { continue };
            let attempt = Attempt { request: self.job.id.clone(), step: record.step.clone(), number: 0 };
            let found = self.job.site.look.workflow_run(&workflow.repository, run)?;
            let why = match (found, self.job.site.look.outcome(&attempt)) {
                (Ok(None), _) => "its run is gone".to_owned(),
                (Ok(Some(WorkflowRun { conclusion: Some(conclusion), .. })), _) => {
                    format!("its run was to be cancelled and ended: {conclusion}")
                }
                (_, Some(Outcome::Refused(why))) => format!("its run could not be cancelled: {why}"),
                (Ok(Some(_)), outcome) if !self.is_late(step, &record) => {
                    runs = true;
                    if outcome.is_none() {
                        let work = Work::Cancel { repository: workflow.repository.clone(), run };
                        self.decision.steps.push(Step::Backend(Box::new(Backend { attempt, work })));
                    }
                    self.show(step, &record, Some("it is being cancelled".to_owned()));
                    continue;
                }
                (Ok(Some(_)), _) => "its run was to be cancelled and goes on".to_owned(),
                (Err(why), _) => {
                    runs = true;
                    self.decision.waits.push(format!("the run of `{}` could not be read: {why}", step.id));
                    continue;
                }
            };
            self.ends(&mut record, StepState::Failure, Some(why));
            self.records.insert(record.step.clone(), record);
            self.is_new |= self.job.memory.is_some();
        }
        Ok(runs)
    }
}
