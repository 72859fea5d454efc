//! The ways to name an image, against moto: an SSM parameter, what was baked, and what is not there.
// Effects: tests run real programs.
#![allow(clippy::disallowed_methods)]

mod support;

use serde_json::Value;
use support::{Moto, Project};

const PREPARE: &str = "
ssm = boto3.client('ssm')
base = ec2.describe_images(Owners=['amazon'])['Images'][0]['ImageId']
def bake(recipe):
    builder = ec2.run_instances(ImageId=base, MinCount=1, MaxCount=1, InstanceType='t3.micro')['Instances'][0]
    tags = [{'ResourceType': 'image', 'Tags': [{'Key': 'mayfly:recipe', 'Value': recipe}]}]
    return ec2.create_image(InstanceId=builder['InstanceId'], Name=recipe, TagSpecifications=tags)['ImageId']
put = lambda name, value: ssm.put_parameter(Name=name, Value=value, Type='String')
put('/acme/image', base)
put('/acme/nested', json.dumps({'image_id': base, 'os': 'x'}))
put('/acme/odd', 'nothing of use')
print(json.dumps({'base': base, 'web': bake('web'), 'bare': bake('bare')}))
";

#[test]
fn an_image_is_found_by_parameter_and_by_what_was_baked() {
    let moto = Moto::start();
    let images: Value = serde_json::from_str(&moto.boto3(PREPARE)).expect("JSON");
    let project = Project::new();
    let plan = |image: &str| {
        project.write_spec(&format!(
            "service: greeter\nimage: {image}\nprobe: none\n\
             states: {{url: 'https://git.example.org/states.git', deploy_url: 'file://{}'}}\n",
            project.states().display()
        ));
        project.output(&moto, &["plan", "--output", "json"])
    };
    for (image, key) in [
        ("{ssm: /acme/image}", "base"),
        ("{ssm: /acme/nested}", "base"),
        ("{baked: web}", "web"),
        ("{baked: bare}", "bare"),
    ] {
        let output = plan(image);
        assert_eq!(output.status.code(), Some(0), "{image}: {}", String::from_utf8_lossy(&output.stderr));
        let plan: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(plan["image"], images[key], "{image}");
    }
    for (image, words) in [
        ("{ssm: /acme/none}", "ParameterNotFound"),
        ("{ssm: /acme/odd}", "the SSM parameter /acme/odd holds no image id"),
        ("{baked: db}", "there is no available image of `db`; make one with `mayfly bake`"),
    ] {
        let output = plan(image);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{image}: {said}");
        assert!(said.contains(words), "{image}: {said}");
    }
}
