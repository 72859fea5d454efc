//! The ways to name an image: an SSM parameter, what was baked, and what is not there.

use crate::bench::Bench;

const PREPARE: &str = "
def bake(recipe, service='greeter'):
    builder = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType='t3.micro')['Instances'][0]
    name = f'mayfly-{recipe}-20260102T030405Z-{len(service):04x}'
    tags = {'mayfly:recipe': recipe, 'mayfly:service': service, 'mayfly:bake': name}
    tags = [{'ResourceType': 'image', 'Tags': [{'Key': key, 'Value': value} for key, value in tags.items()]}]
    return ec2.create_image(InstanceId=builder['InstanceId'], Name=name, TagSpecifications=tags)['ImageId']
put = lambda name, value: ssm.put_parameter(Name=name, Value=value, Type='String')
put('/acme/image', image)
put('/acme/nested', json.dumps({'image_id': image, 'os': 'x'}))
put('/acme/odd', 'nothing of use')
print(json.dumps({'base': image, 'web': bake('web'), 'bare': bake('bare', 'images'), 'foreign': bake('web', 'other')}))";

/// A role's image of another service, newer than our own, is not taken; a bare one is anybody's.
#[test]
fn an_image_is_found_by_parameter_and_by_what_was_baked() {
    let bench = Bench::with("");
    let images = bench.moto.json(PREPARE);
    let write = |image: &str| {
        let states = bench.states();
        bench.write_text(&format!("service: greeter\nimage: {image}\nprobe: none\n{states}"));
    };
    for (image, key) in [
        ("{ssm: /acme/image}", "base"),
        ("{ssm: /acme/nested}", "base"),
        ("{baked: web}", "web"),
        ("{baked: bare}", "bare"),
    ] {
        write(image);
        assert_eq!(bench.json(&["plan"])["image"], images[key], "{image}");
    }
    for (image, words) in [
        ("{ssm: /acme/none}", "ParameterNotFound"),
        ("{ssm: /acme/odd}", "the SSM parameter /acme/odd holds no image id"),
        (
            "{baked: db}",
            "there is no available image of `db`; make one with `mayfly bake --role db`, the first time",
        ),
    ] {
        write(image);
        let said = bench.ends_with(1, &["plan"]);
        assert!(said.contains(words), "{image}: {said}");
    }
}
