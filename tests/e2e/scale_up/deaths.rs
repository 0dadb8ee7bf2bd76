//! `scale-up` is killed at each of its effects, before and after it was served, and started again.

use std::time::Duration;

use crate::parts::payload::another_workflow_job;
use crate::parts::stack::Stack;

/// More effects than a job has until its runner may register, with the requests and records on the way.
const MOST_EFFECTS: usize = 30;

/// For what does not come to hang no test for ever.
const SOON: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn whenever_scale_up_is_killed_the_end_is_as_if_it_had_not_been() {
    let stack = Stack::start("ephemeral").await;
    let mut jobs = 0;
    let mut killed = 0;
    for effect in 0..MOST_EFFECTS {
        let mut hit = false;
        for served in [false, true] {
            jobs += 1;
            let id = 9_000 + jobs;
            stack
                .queue(&format!("guid-{id}"), &another_workflow_job(id))
                .await;
            stack.wire.lose_an_effect_of_scale_up(effect, served);
            let was_killed = is_killed(&stack).await;
            hit |= was_killed;
            killed += usize::from(was_killed);
            stack.settle().await;
            let instances = stack.aws.running().await;
            let count = usize::try_from(jobs).unwrap();
            let at = format!("effect {effect}, served: {served}");
            assert_eq!(instances.len(), count, "{at}: {:#?}", stack.lambda.log());
            let registered = stack.github.state().runners();
            assert_eq!(registered.len(), count, "{at}: {registered:#?}");
            for instance in &instances {
                let name = format!("stoker-e2e-{}", instance.id);
                let runner = registered.iter().find(|runner| runner.name == name);
                assert!(runner.is_some(), "{at}: {name} is not registered");
                let configuration = stack.aws.configuration(&instance.id).await;
                assert!(configuration.is_some(), "{at}: {name} has no configuration");
            }
        }
        if !hit {
            break;
        }
    }
    assert!(killed >= 14, "it was killed {killed} times");
    assert_eq!(stack.aws.dead_letters.reasons().await, []);
}

/// Has both queues handled, and kills the Lambda where the wire is cut. Whether it was.
async fn is_killed(stack: &Stack) -> bool {
    let run = async {
        stack.pump().await;
    };
    tokio::pin!(run);
    let lost = tokio::time::timeout(SOON, stack.wire.lost());
    tokio::select! {
        () = &mut run => {}
        lost = lost => {
            assert!(lost.is_ok(), "{:#?}", stack.lambda.log());
            stack.lambda.replace();
            run.await;
        }
    }
    // What is not cut by then was not there to be cut.
    !stack.wire.mend()
}
